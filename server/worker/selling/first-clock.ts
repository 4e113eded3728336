import type { RedisClock } from './redis-clock.ts'

/**
 * The time as the first shard has told it that has told one: by it this worker knows which sale is on. Each shard decides by
 * its own clock.
 */
export class FirstClock implements Pick<RedisClock, 'now'> {
  readonly #clocks: readonly Pick<RedisClock, 'now'>[]

  /** @param clocks by the shards' numbers */
  constructor(clocks: readonly Pick<RedisClock, 'now'>[]) {
    this.#clocks = clocks
  }

  /** ms since the epoch; `undefined` before any reply. */
  now(): number | undefined {
    for (const clock of this.#clocks) {
      const nowMs = clock.now()
      if (nowMs !== undefined) return nowMs
    }
    return undefined
  }
}
