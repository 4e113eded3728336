import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Tally } from '../report/tally.ts'
import type { ErrorSample } from './recorder.ts'

/**
 * Answers that were no 2xx and requests without an answer: samples of each kind as they come, and in the end the counts
 * of all, a JSON object a line.
 */
export class ErrorFile {
  readonly path: string
  #lines = 0

  constructor(path: string) {
    this.path = path
    rmSync(path, { force: true })
  }

  get isEmpty(): boolean {
    return this.#lines === 0
  }

  add(run: number, samples: readonly ErrorSample[]): void {
    if (samples.length > 0) this.#append(samples.map((sample) => ({ run, ...sample })))
  }

  /** Closes a run. */
  addCounts(run: number, { rejected, failed, unexpected, timeouts, socketErrors }: Tally): void {
    if (!this.isEmpty) this.#append([{ run, counts: { rejected, failed, unexpected, timeouts, socketErrors } }])
  }

  #append(entries: readonly object[]): void {
    if (this.isEmpty) mkdirSync(dirname(this.path), { recursive: true })
    appendFileSync(this.path, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
    this.#lines += entries.length
  }
}
