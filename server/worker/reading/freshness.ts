import { formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import { placePrefix } from '../../../core/shards.ts'
import type { RedisClock } from '../selling/redis-clock.ts'

/** What Freshness needs of a shard. */
export interface LoggingShard {
  readonly number: number
  /** The last look at its log; `undefined` before the first. */
  readonly logState: LogState | undefined
  readonly clock: Pick<RedisClock, 'now'>
}

/** How far the record has the log of each shard, by their numbers. */
export type ReachedPositions = readonly LogPosition[]

/** What is known, when a read of Postgres begins, of how far it may be behind what was decided: by the shard that lags most. */
export class Freshness {
  readonly #seen: readonly { readonly number: number; readonly state: LogState | undefined; readonly lagMs?: number }[]
  readonly #reached: ReachedPositions | undefined

  /** @param reached what the record has said meanwhile: newer than the last look at the logs */
  constructor(shards: readonly LoggingShard[], reached?: ReachedPositions) {
    this.#reached = reached
    this.#seen = shards.map(({ number, logState, clock }) => ({
      number,
      state: logState,
      ...lagOf(logState, clock.now()),
    }))
  }

  /** Everything that was decided longer ago was in Postgres. `undefined` while the Redis of some shard has not told. */
  get lagMs(): number | undefined {
    let most = 0
    for (const { lagMs } of this.#seen) {
      if (lagMs === undefined) return undefined
      most = Math.max(most, lagMs)
    }
    return most
  }

  /** For the answer: it is at most so old, and of each log all up to there is in it. */
  get headers(): string {
    const { lagMs } = this
    if (lagMs === undefined && this.#reached === undefined) return ''
    const lag = lagMs === undefined ? '' : `\r\nHotcakes-Lag: ${(lagMs / 1_000).toFixed(3)}`
    const positions = this.#seen.map(({ number, state }) => {
      const position = this.#reached?.[number] ?? state?.persister?.position
      return position === undefined ? '' : `${placePrefix(number)}${formatLogPosition(position)}`
    })
    return `${lag}\r\nHotcakes-Position: ${positions.join(', ')}`
  }
}

function lagOf(state: LogState | undefined, nowMs: number | undefined): { lagMs?: number } {
  if (state?.persister === undefined || nowMs === undefined) return {}
  // What was decided since the log was looked at may be missing as well.
  return { lagMs: state.lagSeconds * 1_000 + Math.max(0, nowMs - state.nowMs) }
}

/** For an answer out of Redis, which is as things are. */
export const upToDate = '\r\nHotcakes-Lag: 0'
