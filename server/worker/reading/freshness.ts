import { formatLogPosition } from '../../../core/log-position.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import type { RedisClock } from '../selling/redis-clock.ts'

/** What is known, when a read of Postgres begins, of how far it may be behind what was decided. */
export class Freshness {
  readonly #state: LogState | undefined
  readonly #clock: RedisClock

  constructor(state: LogState | undefined, clock: RedisClock) {
    this.#state = state
    this.#clock = clock
  }

  /** Everything that was decided longer ago was in Postgres. `undefined` while Redis has not told. */
  get lagMs(): number | undefined {
    const nowMs = this.#clock.now()
    if (this.#state?.persister === undefined || nowMs === undefined) return undefined
    // What was decided since the log was looked at may be missing as well.
    return this.#state.lagSeconds * 1_000 + Math.max(0, nowMs - this.#state.nowMs)
  }

  /** For the answer: it is at most so old, and all of the log up to there is in it. */
  get headers(): string {
    const { lagMs } = this
    const position = this.#state?.persister?.position
    if (lagMs === undefined || position === undefined) return ''
    return `\r\nHotcakes-Lag: ${(lagMs / 1_000).toFixed(3)}\r\nHotcakes-Position: ${formatLogPosition(position)}`
  }
}

/** For an answer out of Redis, which is as things are. */
export const upToDate = '\r\nHotcakes-Lag: 0'
