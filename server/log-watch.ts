import { setTimeout as delay } from 'node:timers/promises'

import { asFault, type FaultCode } from '../core/faults.ts'
import { logStateIntervalMs } from '../core/limits.ts'
import type { LogState, SaleStore } from '../core/redis/sale-store.ts'
import type { RedisClock } from './redis-clock.ts'

/** Asks Redis once a second for the state of the log, and keeps the answer; the clock is set by it on the way. */
export class LogWatch {
  readonly #store: Pick<SaleStore, 'logState' | 'isUp'>
  readonly #clock: RedisClock
  readonly #afterEach: () => Promise<void>
  readonly #stopping = new AbortController()
  #state: LogState | undefined
  #fault: FaultCode | undefined

  /** `afterEach`: runs after every question; must not reject. */
  constructor(store: Pick<SaleStore, 'logState' | 'isUp'>, clock: RedisClock, afterEach: () => Promise<void>) {
    this.#store = store
    this.#clock = clock
    this.#afterEach = afterEach
  }

  /** The last answer, even if Redis is gone since. */
  get state(): LogState | undefined {
    return this.#state
  }

  /** Why the last question had no answer; `undefined` when it had one. */
  get fault(): FaultCode | undefined {
    return this.#fault
  }

  /** Asks once. Never rejects. */
  async look(): Promise<void> {
    try {
      this.#state = await this.#store.logState()
      this.#clock.observe(this.#state.nowMs)
      this.#fault = undefined
    } catch (error) {
      this.#fault = asFault(error, 'HC_REDIS_UNAVAILABLE').code
    }
    await this.#afterEach()
  }

  /** Asks again and again until `stop()`. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.look()
      await delay(logStateIntervalMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  stop(): void {
    this.#stopping.abort()
  }
}
