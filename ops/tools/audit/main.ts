// `npm run audit`: the assembly point. See arguments.ts for what it takes and answers.

import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Fault, isBug } from '../../../core/faults.ts'
import { auditRedisTimeoutMs, auditStatementTimeoutMs } from '../../../core/limits.ts'
import { connectPostgres, type Postgres } from '../../../core/postgres/connection.ts'
import { PostgresFault } from '../../../core/postgres/postgres-fault.ts'
import { firstConnect } from '../../../core/redis/connection.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { firstShard } from '../../../core/shards.ts'
import { withServices } from '../../embedded/with-services.ts'
import { type AuditArguments, helpText, parseArguments } from './arguments.ts'
import { audit } from './audit.ts'
import { type AuditReport, reportAsJson, reportAsText } from './report.ts'
import { keepVerdict } from './verdict.ts'

const exitStatus = { passed: 0, breached: 1, incomplete: 2, failed: 3 } as const

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await main(process.argv.slice(2)))

async function main(args: readonly string[]): Promise<number> {
  try {
    const asked = parseArguments(args)
    if (asked.help) {
      process.stdout.write(helpText)
      return exitStatus.passed
    }
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    const report = await withServices(config, say, (effective) => auditOnce(effective, asked))
    process.stdout.write(asked.json ? reportAsJson(report) : reportAsText(report))
    return exitStatus[report.verdict]
  } catch (error) {
    const { message, stack = message } = error as Error
    if (isBug(error)) say(stack)
    else say(error instanceof Fault ? `${error.code}: ${message}` : message)
    if (args.includes('--json')) {
      const fault = { code: error instanceof Fault ? error.code : null, message }
      process.stdout.write(`${JSON.stringify({ verdict: 'failed', fault })}\n`)
    }
    return exitStatus.failed
  }
}

/** Progress and complaints go to stderr: stdout has the report and nothing else. */
function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes audit: ')}\n`)
}

async function auditOnce(config: Config, asked: AuditArguments): Promise<AuditReport> {
  const postgres = connectPostgres(config.db, {
    applicationName: 'hotcakes audit',
    statementTimeoutMs: auditStatementTimeoutMs,
  })
  const store = new SaleStore(config.redis, {
    shard: firstShard,
    name: 'hotcakes audit',
    commandTimeoutMs: auditRedisTimeoutMs,
  })
  try {
    // Not store.connect(): that needs the rights of the service, and the audit only reads.
    await firstConnect(store.redis, config.redis)
    const report = await audit(
      { store, postgres },
      {
        sale: asked.sale,
        waitMs: asked.waitSeconds * 1_000,
        onWait: (entries) => say(`waiting for ${entries} log entries to get to Postgres`),
      },
    )
    tryKeepVerdict(postgres, report, asked.sale)
    return report
  } finally {
    store.close()
    postgres.close()
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
