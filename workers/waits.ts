import assert from 'node:assert/strict'
import { waitSayMs } from '../core/limits.ts'
import type { Log } from '../core/log.ts'

/** What the persister waits for at the moment, which is one thing at a time: said when it takes long, and when it is over. */
export class Waits {
  readonly #log: Log
  #current: { readonly what: string; readonly sinceMs: number; isSaid: boolean } | undefined

  constructor(log: Log) {
    this.#log = log
  }

  async on<Result>(what: string, answer: Promise<Result>): Promise<Result> {
    assert.equal(this.#current, undefined, 'one wait at a time')
    const wait = { what, sinceMs: performance.now(), isSaid: false }
    this.#current = wait
    try {
      return await answer
    } finally {
      this.#current = undefined
      if (wait.isSaid)
        this.#log.info({ waitedMs: waitedMs(wait) }, `waited for ${what}: it has answered, or was given up`)
    }
  }

  /** Somebody waits for the end from now on: what is waited for is said again. */
  remind(): void {
    if (this.#current !== undefined) this.#current.isSaid = false
  }

  /** To be called once a second. */
  look(): void {
    const wait = this.#current
    if (wait === undefined || wait.isSaid || waitedMs(wait) < waitSayMs) return
    wait.isSaid = true
    this.#log.warn({ waitedMs: waitedMs(wait) }, `waiting for ${wait.what}`)
  }
}

function waitedMs({ sinceMs }: { readonly sinceMs: number }): number {
  return Math.round(performance.now() - sinceMs)
}
