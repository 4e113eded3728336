import { setTimeout as delay } from 'node:timers/promises'

import { undefinedForFault } from '../../core/faults.ts'
import type { RecordDaysCheck } from '../../core/ipc.ts'
import { recordDaysLookMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { msPerDay } from '../../core/time.ts'

const recordDays = {
  name: 'record_days',
  text: `select coalesce((now() at time zone 'UTC')::date - min(day), 0) as days from attempts_partitions`,
}

export interface RecordDaysOptions {
  readonly postgres: Pick<AsyncPostgres, 'query'>
  readonly log: Pick<Log, 'warn'>
  /** APP_RECORD_DAYS; 0: any number. */
  readonly daysMax: number
  /** A monotonic clock, in ms. */
  readonly now: () => number
}

/** Knows how many days ago the oldest day is that has attempts on record, and says so when it should be gone. It removes nothing. */
export class RecordDays {
  readonly #options: RecordDaysOptions
  readonly #stopping = new AbortController()
  #days: number | undefined
  #warnedMs = Number.NEGATIVE_INFINITY

  constructor(options: RecordDaysOptions) {
    this.#options = options
  }

  /** As of the last look that Postgres answered, 0 without attempts; `undefined`: there was none yet. */
  get days(): number | undefined {
    return this.#days
  }

  /** `undefined`: nobody has said how many days there should be at most, or nothing is known yet. */
  get check(): RecordDaysCheck | undefined {
    const { daysMax } = this.#options
    if (daysMax === 0 || this.#days === undefined) return undefined
    return { status: this.#days > daysMax ? 'over' : 'within', days: this.#days, days_max: daysMax }
  }

  /** Looks again and again until `stop()`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.look()
      await delay(recordDaysLookMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  async look(): Promise<void> {
    const { postgres, log, now } = this.#options
    const rows = await postgres.query<{ days: number }>(recordDays).catch(undefinedForFault)
    if (rows === undefined) return // away: what was seen last still stands
    this.#days = rows[0]?.days
    if (this.check?.status !== 'over' || now() - this.#warnedMs < msPerDay) return
    this.#warnedMs = now()
    const { days, days_max: daysMax } = this.check
    log.warn({ days, daysMax }, 'the record has older days than APP_RECORD_DAYS: npm run retire takes them out')
  }
}
