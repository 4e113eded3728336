import { setTimeout as delay } from 'node:timers/promises'

import { Fault, undefinedForFault } from '../../core/faults.ts'
import { dayIndexDelayMs, dayIndexLookMs, dayIndexRestRatio, schemaStatementTimeoutMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { msPerSecond } from '../../core/time.ts'

/** The newest day before the last one that is over for long enough ($1 ms), or of those before $2, that lacks an index. */
const nextDay = {
  name: 'day_without_index',
  text: `select max(day)::text as day from attempts_partitions
    where not (has_ranges and has_buyers) and day < $2::date
      and day < ((now() - $1::int * interval '1 ms') at time zone 'UTC')::date`,
}
const makeIndexes = { name: 'index_attempts', text: 'select index_attempts($1::date) as made' }
const never = 'infinity'

export interface DayIndexesOptions {
  readonly settings: PostgresSettings
  readonly log: Log
  /** The age of the oldest log entry of all shards that is not in Postgres, as far as their Redis answers. */
  readonly lagSeconds: () => Promise<number>
}

/**
 * Makes the indexes that people and audits use, for each day that is over: while it lasts they would cost more than its rows.
 * One day after another, the newest first, with a rest after each: an upgrade leaves many. Several servers take turns.
 */
export class DayIndexes {
  readonly #options: DayIndexesOptions
  readonly #postgres: AsyncPostgres
  readonly #stopping = new AbortController()

  constructor(options: DayIndexesOptions) {
    this.#options = options
    const bounds = { connectionsMax: 1, deadlineMs: schemaStatementTimeoutMs }
    this.#postgres = new AsyncPostgres(options.settings, { applicationName: 'hotcakes indexes', ...bounds })
  }

  /** Looks again and again until `close()`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.round()
      await delay(dayIndexLookMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  /** Goes through all days that are over. One that can't have its indexes now has its turn in the next round. */
  async round(): Promise<void> {
    const { signal } = this.#stopping
    let day = await this.#dayBefore(never)
    while (day !== undefined && !signal.aborted) {
      const startedMs = performance.now()
      await this.#make(day).catch((error: unknown) => this.#failed(day, error))
      const tookMs = performance.now() - startedMs
      await delay(tookMs * dayIndexRestRatio, undefined, { signal }).catch(() => undefined) // stopped
      day = await this.#dayBefore(day)
    }
  }

  /** Ends a statement under way, as far as this process is concerned. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#postgres.close()
  }

  /** undefined: there is none, or rows of it may still come, or Postgres is away. */
  async #dayBefore(before: string): Promise<string | undefined> {
    // Rows that come late wait while an index is made. What is in no log any more was decided after the day's end.
    if ((await this.#options.lagSeconds()) * msPerSecond >= dayIndexDelayMs) return undefined
    const rows = this.#postgres.query<{ day: string | null }>(nextDay, [dayIndexDelayMs, before])
    const [row] = (await rows.catch(undefinedForFault)) ?? []
    return row?.day ?? undefined
  }

  async #make(day: string): Promise<void> {
    const startedMs = performance.now()
    const [row] = await this.#postgres.query<{ made: number }>(makeIndexes, [day])
    const tookMs = Math.round(performance.now() - startedMs)
    if (row !== undefined && row.made > 0)
      this.#options.log.info({ day, tookMs }, 'the day is over: its indexes are made')
  }

  #failed(day: string | undefined, error: unknown): void {
    if (!(error instanceof Fault)) throw error
    if (this.#stopping.signal.aborted) return
    this.#options.log.warn({ day, code: error.code }, `the indexes of a day are not made yet: ${error.message}`)
  }
}
