// `npm run audit`: the assembly point. See command.ts for what it takes and answers.

import type { AuditVerdict } from '../../../core/audit-verdict.ts'
import { runCommand, type Values } from '../../../core/command-line.mjs'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { connectPostgres, type Postgres } from '../../../core/postgres/connection.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { PostgresFault } from '../../../core/postgres/postgres-fault.ts'
import { firstConnect } from '../../../core/redis/connection.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { withServices } from '../../embedded/with-services.ts'
import { auditRedisTimeoutMs, auditStatementTimeoutMs } from '../../limits.ts'
import { failureText } from '../failure-text.ts'
import { WholeFile } from '../whole-files.ts'
import { audit } from './audit.ts'
import { auditCommand } from './command.ts'
import { type AuditReport, reportAsJson, reportAsText } from './report.ts'
import { keepVerdict } from './verdict.ts'

type Asked = Values<typeof auditCommand.options>

const exitStatus = { passed: 0, breached: 1, incomplete: 2, failed: 3 } as const satisfies Record<
  AuditVerdict | 'failed',
  number
>

const args = process.argv.slice(2)
const status = await runCommand(auditCommand, args, main, ({ message }) => {
  if (args.includes('--json')) process.stdout.write(failureAsJson(null, message))
})
// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(status)

async function main(asked: Asked): Promise<number> {
  try {
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    const report = await withServices(config, say, (effective) => auditOnce(effective, asked))
    process.stdout.write(asked.json ? reportAsJson(report) : reportAsText(report))
    return (await tryToWrite(asked.out, reportAsJson(report))) ? exitStatus[report.verdict] : exitStatus.failed
  } catch (error) {
    say(failureText(error))
    const failure = failureAsJson(error instanceof Fault ? error.code : null, (error as Error).message)
    if (asked.json) process.stdout.write(failure)
    await tryToWrite(asked.out, failure)
    return exitStatus.failed
  }
}

/** For machines. */
function failureAsJson(code: string | null, message: string): string {
  return `${JSON.stringify({ verdict: 'failed', fault: { code, message } })}\n`
}

/** Whoever reads the file later must not take an older report for this one: that it could not be written is a failure. */
async function tryToWrite(path: string | undefined, text: string): Promise<boolean> {
  if (path === undefined) return true
  try {
    const file = await WholeFile.create(path)
    try {
      await file.write(text)
      await file.finish({ replace: true })
    } catch (error) {
      await file.discard()
      throw error
    }
    return true
  } catch (error) {
    say(`the report can't be written to ${path}: ${(error as Error).message}`)
    return false
  }
}

/** Progress and complaints go to stderr: stdout has the report and nothing else. */
function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes audit: ')}\n`)
}

async function auditOnce(config: Config, asked: Asked): Promise<AuditReport> {
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
    tryKeepVerdict(postgres, report, asked.sale)
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

/** The verdict stands, whether it can be kept or not: an auditor may be somebody who may only read. */
function tryKeepVerdict(postgres: Postgres, report: AuditReport, sale: number | undefined): void {
  try {
    keepVerdict(postgres, report, sale)
  } catch (error) {
    if (!(error instanceof PostgresFault)) throw error
    say(`the verdict is not kept: ${error.message}`)
  }
}
