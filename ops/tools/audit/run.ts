import type { Values } from '../../../core/command-line.mjs'
import type { Config } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { connectPostgres, type Postgres } from '../../../core/postgres/connection.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { PostgresFault } from '../../../core/postgres/postgres-fault.ts'
import { firstConnect } from '../../../core/redis/connection.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { withServices } from '../../embedded/with-services.ts'
import { auditRedisTimeoutMs, auditStatementTimeoutMs } from '../../limits.ts'
import { audit } from './audit.ts'
import type { auditCommand } from './command.ts'
import type { AuditReport } from './report.ts'
import { keepVerdict } from './verdict.ts'

export type AuditAsked = Pick<Values<typeof auditCommand.options>, 'sale' | 'waitSeconds'>

/** Gets sentences for people: progress, and what can't be kept. */
type Say = (text: string) => void

/** Opens what the audit needs, lets it compare, and leaves its verdict on record. @throws Fault; Error, see audit() */
export function runAudit(config: Config, asked: AuditAsked, say: Say): Promise<AuditReport> {
  return withServices(config, say, (effective) => auditOnce(effective, asked, say))
}

async function auditOnce(config: Config, asked: AuditAsked, say: Say): Promise<AuditReport> {
  const postgres = connectPostgres(config.db, {
    applicationName: 'hotcakes audit',
    statementTimeoutMs: auditStatementTimeoutMs,
  })
  const stores: SaleStore[] = []
  try {
    const numbers = shardNumbers(shardCountOf(postgres.query<{ shard: number }>(shardsText)))
    for (const shard of numbers) {
      const store = new SaleStore(config.redis, {
        shard,
        name: 'hotcakes audit',
        commandTimeoutMs: auditRedisTimeoutMs,
      })
      stores.push(store)
      await connect(store, config, numbers.length)
    }
    const report = await audit(
      { stores, postgres },
      {
        sale: asked.sale,
        waitMs: asked.waitSeconds * 1_000,
        onWait: (entries) => say(`waiting for ${entries} log entries to get to Postgres`),
      },
    )
    tryKeepVerdict({ postgres, report, asked, say })
    return report
  } finally {
    for (const store of stores) store.close()
    postgres.close()
  }
}

/** @throws Fault that names the shard, where there are several: without one of them the others can't be judged */
async function connect({ redis, shard }: SaleStore, config: Config, shards: number): Promise<void> {
  try {
    // Not store.connect(): that needs the rights of the service, and the audit only reads.
    await firstConnect(redis, config.redis)
  } catch (error) {
    if (!(error instanceof Fault) || shards === 1) throw error
    throw new Fault(error.code, `shard ${shard} can't be asked, and an audit needs all ${shards}: ${error.message}`)
  }
}

interface Audited {
  readonly postgres: Postgres
  readonly report: AuditReport
  readonly asked: AuditAsked
  readonly say: Say
}

/** The verdict stands, whether it can be kept or not: an auditor may be somebody who may only read. */
function tryKeepVerdict({ postgres, report, asked, say }: Audited): void {
  try {
    keepVerdict(postgres, report, asked.sale)
  } catch (error) {
    if (!(error instanceof PostgresFault)) throw error
    say(`the verdict is not kept: ${error.message}`)
  }
}
