import { drainEntriesMax, drainIntervalMsMax, drainIntervalMsMin, drainRowsAim } from '../core/limits.ts'
import { msPerSecond } from '../core/time.ts'

/** Until anything is known of the entries: few enough when each holds as many rows as it can. */
const rowsPerEntryUnknown = 50

export interface Drained {
  readonly startedAtMs: number
  readonly entries: number
  readonly rows: number
}

/**
 * How much a transaction should take in, and when the next should begin. A transaction costs the same whatever it holds, so
 * they get fewer and larger as the load grows. With little to do that gains nothing, and rows are on record the sooner.
 */
export class DrainPace {
  #startedAtMs = Number.NEGATIVE_INFINITY
  #rowsPerEntry = rowsPerEntryUnknown

  /** So many log entries may be read at once. */
  get entriesMax(): number {
    return Math.min(drainEntriesMax, Math.ceil((2 * drainRowsAim) / this.#rowsPerEntry))
  }

  /** After a transaction: how long after its start the next one begins, in ms. */
  intervalMs({ startedAtMs, entries, rows }: Drained): number {
    const spanMs = Math.max(1, startedAtMs - this.#startedAtMs)
    this.#startedAtMs = startedAtMs
    this.#rowsPerEntry = Math.max(1, rows / entries)
    const rowsPerSecond = (rows * msPerSecond) / spanMs
    const grown = (drainIntervalMsMax * rowsPerSecond) / drainRowsAim
    const enough = (drainRowsAim * msPerSecond) / rowsPerSecond
    return Math.max(drainIntervalMsMin, Math.min(grown, drainIntervalMsMax, enough))
  }
}
