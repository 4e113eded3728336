import type { Fault, FaultCode } from '../core/faults.ts'
import { copyLockMsMax, drainRetryDelayMsMax, drainRetryDelayMsMin, redisReconnectDelayMsMax } from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { isPassing } from './refusals.ts'

/**
 * What keeps the persister from going on, from the first failure to the next success. Logs each kind once and that it is
 * over, whatever the number of attempts, and spaces them.
 */
export class Troubles {
  readonly #log: Log
  readonly #lockedDelayMs: number
  #current: FaultCode | undefined
  #said = ''
  #sinceMs = 0
  #attempts = 0

  /** @param isAlone no other shard waits for the thread that an attempt to get a lock blocks */
  constructor(log: Log, isAlone: boolean) {
    this.#log = log
    this.#lockedDelayMs = isAlone ? drainRetryDelayMsMin : copyLockMsMax
  }

  /** An attempt failed. Returns how long to wait before the next, in ms. */
  met(fault: Fault): number {
    if (this.#current === undefined) this.#sinceMs = performance.now()
    // libpq's messages vary while a server is away: that is one piece of news. Otherwise another message is another one.
    const isAway = fault.code.endsWith('_UNAVAILABLE')
    if (this.#current !== fault.code || (!isAway && this.#said !== fault.message)) {
      this.#log[isPassing(fault) ? 'warn' : 'error']({ code: fault.code }, `the log is not drained: ${fault.message}`)
    }
    this.#current = fault.code
    this.#said = fault.message
    // The attempt itself has waited. Where others wait for the thread, they have it for as long.
    if (fault.code === 'HC_POSTGRES_LOCKED') return this.#lockedDelayMs
    // Redis comes back quickly or its client waits by itself; only Postgres needs to be spared.
    const delayMsMax = fault.code === 'HC_REDIS_UNAVAILABLE' ? redisReconnectDelayMsMax : drainRetryDelayMsMax
    return Math.min(drainRetryDelayMsMin * 2 ** Math.min(this.#attempts++, 10), delayMsMax)
  }

  /** Says again what is in the way: now somebody waits for its end. */
  remind(): void {
    if (this.#current !== undefined)
      this.#log.warn({ code: this.#current }, `the log can't be drained to its end yet: ${this.#said}`)
  }

  over(): void {
    this.#attempts = 0
    if (this.#current === undefined) return
    const lastedMs = Math.round(performance.now() - this.#sinceMs)
    this.#log.info({ code: this.#current, lastedMs }, 'the log is drained again')
    this.#current = undefined
  }
}
