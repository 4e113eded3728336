import { setTimeout as delay } from 'node:timers/promises'

import { Fault, type FaultCode } from '../../../core/faults.ts'
import { logStateIntervalMs, recordLookMs } from '../../../core/limits.ts'
import type { LogState, SaleStore } from '../../../core/redis/sale-store.ts'
import type { LogRoom } from './log-room.ts'
import type { RedisClock } from './redis-clock.ts'
import type { RunGate } from './run-gate.ts'

export interface LogWatchOptions {
  readonly store: Pick<SaleStore, 'logState' | 'memoryShare'>
  readonly clock: RedisClock
  readonly gate: RunGate
  readonly room: LogRoom
  /** Runs after each question that is not out of turn. Must not reject. */
  readonly afterEach: () => Promise<void>
}

/** Asks Redis once a second for the state of the log, and keeps the answer; the clock is set by it on the way. */
export class LogWatch {
  readonly #options: LogWatchOptions
  readonly #stopping = new AbortController()
  #isAsking = false
  #state: LogState | undefined
  #fault: FaultCode | undefined

  constructor(options: LogWatchOptions) {
    this.#options = options
  }

  /** The last answer, even if Redis is gone since. */
  get state(): LogState | undefined {
    return this.#state
  }

  /** Why the last question had no answer; `undefined` when it had one. */
  get fault(): FaultCode | undefined {
    return this.#fault
  }

  /** Asks once. Never rejects for a Fault. */
  async look(): Promise<void> {
    await this.#ask()
    await this.#options.afterEach()
  }

  /** Asks out of turn, unless a question is out already. Never rejects for a Fault. */
  async lookEarly(): Promise<void> {
    if (!this.#isAsking) await this.#ask()
  }

  /** Asks again and again until `stop()`. Never rejects for a Fault. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.look()
      const isWell = this.#fault === undefined && this.#options.gate.isSound
      const pauseMs = isWell ? logStateIntervalMs : recordLookMs
      await delay(pauseMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  async #ask(): Promise<void> {
    const { store, clock, gate, room } = this.#options
    const { seen } = gate
    this.#isAsking = true
    try {
      const [state, memoryShare] = await Promise.all([store.logState(), store.memoryShare()])
      this.#state = state
      this.#fault = undefined
      clock.observe(state.nowMs)
      gate.looked(state, seen)
      room.observe(state, memoryShare)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#fault = error.code
    }
    this.#isAsking = false
  }
}
