import { setTimeout as delay } from 'node:timers/promises'

import type { AuditVerdict } from '../../core/audit-verdict.ts'
import { undefinedForFault } from '../../core/faults.ts'
import { auditLookIntervalMs } from '../../core/limits.ts'
import type { AsyncPostgres } from '../../core/postgres/async-postgres.ts'

/** What the last audit of the whole record found, and when it began. */
export interface LastAudit {
  readonly verdict: AuditVerdict
  readonly startedSeconds: number
}

const lastAudit = {
  name: 'last_audit',
  text: `select verdict, extract(epoch from started_at) as started_seconds from audits
    where sale_id is null order by audit_id desc limit 1`,
}

/** Keeps what the last audit found, for the metrics: audits run in processes of their own, and leave it in Postgres. */
export class AuditWatch {
  readonly #postgres: Pick<AsyncPostgres, 'query'>
  readonly #stopping = new AbortController()
  #last: LastAudit | undefined

  constructor(postgres: Pick<AsyncPostgres, 'query'>) {
    this.#postgres = postgres
  }

  /** As of the last look that Postgres answered; `undefined`: there was none yet. */
  get last(): LastAudit | undefined {
    return this.#last
  }

  /** Looks again and again until `stop()`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#look()
      await delay(auditLookIntervalMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  async #look(): Promise<void> {
    type Row = { verdict: AuditVerdict; started_seconds: string }
    const rows = (await this.#postgres.query<Row>(lastAudit).catch(undefinedForFault)) ?? [] // away: the last one still stands
    const [row] = rows
    if (row !== undefined) this.#last = { verdict: row.verdict, startedSeconds: Number(row.started_seconds) }
  }
}
