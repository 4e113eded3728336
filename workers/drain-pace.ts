import {
  drainEntriesFirstMax,
  drainEntriesGrowthMax,
  drainEntriesMax,
  drainIntervalMsMax,
  drainIntervalMsMin,
  drainRowsAim,
} from '../core/limits.ts'
import { msPerSecond } from '../core/time.ts'

/** What a full read has left over is a small transaction, which says nothing of the load: the bound falls by this at most. */
const entriesFallMax = 2

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
  /** Of the last transaction; at least 1. */
  #rowsPerEntry = 1
  /** By how many were copied of late; at most drainEntriesMax. */
  #entriesKnownMax = drainEntriesFirstMax

  /** So many log entries may be read at once. */
  get entriesMax(): number {
    return Math.min(this.#entriesKnownMax, Math.ceil((2 * drainRowsAim) / this.#rowsPerEntry))
  }

  /** Something failed: the read may have been too large, and what has gathered when it goes on again is not known. */
  failed(): void {
    this.#entriesKnownMax = drainEntriesFirstMax
  }

  /** After a transaction: how long after its start the next one begins, in ms. */
  intervalMs({ startedAtMs, entries, rows }: Drained): number {
    const spanMs = Math.max(1, startedAtMs - this.#startedAtMs)
    this.#startedAtMs = startedAtMs
    this.#rowsPerEntry = Math.max(1, rows / entries)
    const fallen = Math.ceil(this.#entriesKnownMax / entriesFallMax)
    this.#entriesKnownMax = Math.min(
      drainEntriesMax,
      Math.max(drainEntriesFirstMax, drainEntriesGrowthMax * entries, fallen),
    )
    const rowsPerSecond = (rows * msPerSecond) / spanMs
    const grown = (drainIntervalMsMax * rowsPerSecond) / drainRowsAim
    const enough = (drainRowsAim * msPerSecond) / rowsPerSecond
    return Math.max(drainIntervalMsMin, Math.min(grown, drainIntervalMsMax, enough))
  }
}
