import { setTimeout as delay } from 'node:timers/promises'

import { redisPlace } from '../../core/config/cluster-nodes.ts'
import type { Config } from '../../core/config/load.ts'
import { Fault, undefinedForFault } from '../../core/faults.ts'
import { dependencyRetryDelayMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { Queries } from '../../core/recovery/record-head.ts'
import { ConnectionNews } from '../../core/redis/connection-news.ts'
import { type LogState, SaleStore } from '../../core/redis/sale-store.ts'
import type { ShardState } from '../../core/shard-state.ts'
import { startTimeLimit } from '../../core/time-limit.ts'
import { patiently, whenAvailable } from './dependencies.ts'
import { RunCheck } from './run-check.ts'
import { RunGuard } from './run-guard.ts'
import { type AskedChild, SeenPositions } from './seen-positions.ts'
import type { Shutdown } from './shutdown.ts'

export interface PrimaryShardOptions {
  readonly number: number
  /** Its shardCount is how many there are. */
  readonly config: Config
  readonly log: Log
  readonly shutdown: Shutdown
}

export interface GuardedBy {
  /** For comparisons, which are quick. */
  readonly database: Queries
  /** The HTTP workers, which know what they have answered. */
  readonly workers: () => readonly AskedChild[]
  /** Whether it may be sold from; each change once. */
  readonly onState: (state: ShardState) => void
}

/**
 * A shard as the primary looks after it: a connection of its own to the shard's Redis, what the workers have answered of its
 * log, and the guard that says of a run of Redis whether it may decide. Opened, then guarded, and closed by the shutdown.
 */
export class PrimaryShard {
  readonly number: number
  readonly store: SaleStore
  readonly seen: SeenPositions
  readonly #options: PrimaryShardOptions
  readonly #runCheck: RunCheck
  #isDurable = false

  private constructor(options: PrimaryShardOptions) {
    const { number, config, log, shutdown } = options
    this.number = number
    this.seen = new SeenPositions(number)
    this.#options = options
    const news = new ConnectionNews(log, { up: 'connected to Redis', down: 'no connection to Redis' })
    this.store = new SaleStore(config.redis, {
      shard: number,
      name: 'hotcakes primary',
      onState: (state, about) => {
        if (state === 'up') news.up(about)
        else if (!shutdown.signal.aborted) news.down(about)
      },
    })
    this.#runCheck = new RunCheck({
      store: this.store,
      requireDurable: config.redis.requireDurable,
      log,
      onDurability: (isDurable) => {
        this.#isDurable = isDurable
      },
    })
  }

  /** Waits for its Redis, and proves that it is set up as it must be. @throws Fault; the reason of the shutdown's signal */
  static async open(options: PrimaryShardOptions): Promise<PrimaryShard> {
    const { log, shutdown } = options
    const shard = PrimaryShard.#begin(options)
    const patience = { what: shard.#where, unavailable: 'HC_REDIS_UNAVAILABLE', log, signal: shutdown.signal } as const
    await whenAvailable(() => shard.store.connect(), patience)
    await shard.#assertSetUp()
    return shard
  }

  /**
   * The same for one without which the others can sell: where its Redis can't be reached, it is tried on beside them.
   * @throws Fault when its Redis is there and is not set up as it must be; the reason of the shutdown's signal
   */
  static async openOrTryOn(options: PrimaryShardOptions): Promise<PrimaryShard> {
    const { log, shutdown } = options
    const shard = PrimaryShard.#begin(options)
    try {
      await patiently(shard.store.connect(), { what: shard.#where, log, signal: shutdown.signal })
      await shard.#assertSetUp()
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'HC_REDIS_UNAVAILABLE') throw error
      log.warn({ code: error.code, reason: error.message }, `${shard.#where} is away: it is tried on`)
      void shard.#tryOn()
    }
    return shard
  }

  static #begin(options: PrimaryShardOptions): PrimaryShard {
    const shard = new PrimaryShard(options)
    options.shutdown.opened({
      name: `the connection to Redis${shard.inWords}`,
      close: () => {
        shard.store.close()
        return Promise.resolve([])
      },
    })
    return shard
  }

  /** Whether Redis was last found to keep what it acknowledges. */
  get isDurable(): boolean {
    return this.#isDurable
  }

  /** What compares its Redis with Postgres. */
  guard({ database, workers, onState }: GuardedBy): RunGuard {
    const { config, log } = this.#options
    return new RunGuard({
      store: this.store,
      runCheck: this.#runCheck,
      database,
      log,
      isAutomatic: config.app.recovery === 'auto',
      newestSeen: () => this.seen.newest,
      gatherSeen: () => this.seen.gather(workers()),
      onState,
    })
  }

  /** For sentences about it: '' where it is the only one. */
  get inWords(): string {
    return this.#options.config.shardCount > 1 ? ` (shard ${this.number})` : ''
  }

  /** undefined: Redis did not answer in time. */
  async logStateWithin(patienceMs: number): Promise<LogState | undefined> {
    const state = this.store.logState().catch(undefinedForFault) // Redis is away, which the caller has a word for
    return await new Promise((resolve) => {
      const endLimit = startTimeLimit(patienceMs, () => resolve(undefined))
      void state.finally(endLimit).then(resolve)
    })
  }

  get #where(): string {
    return `${redisPlace(this.#options.config.redis)}${this.inWords}`
  }

  async #assertSetUp(): Promise<void> {
    const { log, shutdown } = this.#options
    const what = `Redis${this.inWords} to say how it keeps its data`
    await patiently(this.#runCheck.assert(), { what, log, signal: shutdown.signal })
  }

  /** What its Redis refuses then, the guard's next look finds too, and says. */
  async #tryOn(): Promise<void> {
    const { signal } = this.#options.shutdown
    while (!signal.aborted && !this.store.isUp) {
      await delay(dependencyRetryDelayMs)
      // Once it was connected it comes back by itself.
      if (!signal.aborted && this.store.redis.status !== 'ready') await this.store.connect().catch(undefinedForFault)
    }
  }
}
