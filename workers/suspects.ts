import assert from 'node:assert/strict'
import { drainEntriesMax } from '../core/limits.ts'

/**
 * Finds the log entry whose rows Postgres refuses: the run that holds it is halved until the entry stands alone, and the
 * good entries before it are copied on the way. That takes log2(drainEntriesMax) + 1 further attempts, 14.
 */
export class Suspects {
  /** Among so many of the next entries it is, at most drainEntriesMax; 0: none is looked for. */
  #count = 0

  /** So many entries may be copied at once. */
  get entriesMax(): number {
    return this.#count === 0 ? drainEntriesMax : Math.ceil(this.#count / 2)
  }

  /** Whether the last run that was refused can be halved. */
  get areSeveral(): boolean {
    return this.#count > 1
  }

  /** So many entries, from the next on. */
  refused(entryCount: number): void {
    this.#assertRun(entryCount)
    this.#count = entryCount
  }

  copied(entryCount: number): void {
    this.#assertRun(entryCount)
    this.#count = Math.max(0, this.#count - entryCount)
  }

  #assertRun(entryCount: number): void {
    assert.ok(entryCount > 0 && entryCount <= this.entriesMax, `${entryCount} entries at once`)
  }
}
