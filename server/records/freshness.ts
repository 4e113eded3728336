import { formatLogPosition } from '../../core/log-position.ts'
import type { LogState } from '../../core/redis/sale-store.ts'
import type { RedisClock } from '../redis-clock.ts'

/** How far Postgres may be behind what was decided. */
export class Freshness {
  readonly #logState: () => LogState | undefined
  readonly #clock: RedisClock

  constructor(logState: () => LogState | undefined, clock: RedisClock) {
    this.#logState = logState
    this.#clock = clock
  }

  /** Everything that was decided longer ago is in Postgres. `undefined` until Redis has told. */
  get lagMs(): number | undefined {
    const state = this.#logState()
    const nowMs = this.#clock.now()
    if (state?.persister === undefined || nowMs === undefined) return undefined
    // What was decided since the log was looked at may be missing as well.
    return state.lagSeconds * 1_000 + Math.max(0, nowMs - state.nowMs)
  }

  /** For an answer out of Postgres: at most so old, and all of the log up to there is in it. */
  get headers(): string {
    const { lagMs } = this
    const position = this.#logState()?.persister?.position
    if (lagMs === undefined || position === undefined) return ''
    return `\r\nHotcakes-Lag: ${(lagMs / 1_000).toFixed(3)}\r\nHotcakes-Position: ${formatLogPosition(position)}`
  }
}

/** For an answer out of Redis, which is as things are. */
export const upToDate = '\r\nHotcakes-Lag: 0'
