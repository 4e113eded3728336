import { setTimeout as delay } from 'node:timers/promises'

import { hostAndPort } from '../../core/config/listen-hosts.ts'
import type { Config } from '../../core/config/load.ts'
import { undefinedForFault } from '../../core/faults.ts'
import { rebuildMsMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { type LogState, SaleStore } from '../../core/redis/sale-store.ts'
import type { ShardState } from '../../core/shard-state.ts'
import { patiently, whenAvailable } from './dependencies.ts'
import { RunCheck } from './run-check.ts'
import { RunGuard } from './run-guard.ts'
import { type AskedChild, SeenPositions } from './seen-positions.ts'
import type { Shutdown } from './shutdown.ts'

export interface PrimaryShardOptions {
  readonly number: number
  readonly config: Config
  readonly log: Log
  readonly shutdown: Shutdown
}

export interface GuardedBy {
  /** The HTTP workers, which know what they have answered. */
  readonly workers: () => readonly AskedChild[]
  /** Whether it may be sold from; each change once. */
  readonly onState: (state: ShardState) => void
  readonly onRecovery: () => void
}

/**
 * A shard as the primary looks after it: a connection of its own to the shard's Redis, what the workers have answered of its
 * log, and the guard that admits a run of Redis or doesn't. Opened, then guarded, and closed by the shutdown.
 */
export class PrimaryShard {
  readonly number: number
  readonly store: SaleStore
  readonly seen: SeenPositions
  readonly #options: PrimaryShardOptions
  readonly #runCheck: RunCheck
  #isDurable = false

  private constructor(store: SaleStore, options: PrimaryShardOptions) {
    const { number, config, log } = options
    this.number = number
    this.store = store
    this.seen = new SeenPositions(number)
    this.#options = options
    this.#runCheck = new RunCheck({
      store,
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
    const shard = new PrimaryShard(await connectPatiently(options), options)
    shutdown.opened({
      name: 'the connection to Redis',
      close: () => {
        shard.store.close()
        return Promise.resolve([])
      },
    })
    const what = 'Redis to say how it keeps its data'
    await patiently(shard.#runCheck.assert(), { what, log, signal: shutdown.signal })
    return shard
  }

  /** Whether Redis was last found to keep what it acknowledges. */
  get isDurable(): boolean {
    return this.#isDurable
  }

  /**
   * Compares Redis with Postgres for the first time, and hands the guard that goes on with it to the shutdown.
   * @throws Fault when they don't belong together: a person has to look
   */
  async guard({ workers, onState, onRecovery }: GuardedBy): Promise<RunGuard> {
    const { config, log, shutdown } = this.#options
    const database = new AsyncPostgres(config.db, { applicationName: 'hotcakes primary', connectionsMax: 1 })
    const rebuildDatabase = new AsyncPostgres(config.db, {
      applicationName: 'hotcakes recovery',
      connectionsMax: 1,
      deadlineMs: rebuildMsMax,
    })
    const guard = new RunGuard({
      store: this.store,
      runCheck: this.#runCheck,
      database,
      rebuildDatabase,
      log,
      isAutomatic: config.app.recovery === 'auto',
      ttlSeconds: config.redis.ttlHours * 3_600,
      newestSeen: () => this.seen.newest,
      gatherSeen: () => this.seen.gather(workers()),
      onState,
      onRecovery,
    })
    shutdown.opened({
      name: 'the guard of the record',
      close: async () => {
        guard.stop()
        await Promise.all([database.close(), rebuildDatabase.close()])
        return []
      },
    })
    await patiently(guard.start(), { what: 'the comparison of Redis with Postgres', log, signal: shutdown.signal })
    return guard
  }

  /** undefined: Redis did not answer in time. */
  async logStateWithin(patienceMs: number): Promise<LogState | undefined> {
    const state = this.store.logState().catch(undefinedForFault) // Redis is away, which the caller has a word for
    return await Promise.race([state, delay(patienceMs, undefined)])
  }
}

async function connectPatiently({ number, config, log, shutdown }: PrimaryShardOptions): Promise<SaleStore> {
  const { signal } = shutdown
  const connect = async () => {
    const store = new SaleStore(config.redis, {
      shard: number,
      name: 'hotcakes primary',
      onState: (state, fault) => {
        if (state === 'up') log.info('connected to Redis')
        else if (!signal.aborted) log.warn({ code: fault?.code }, 'no connection to Redis')
      },
    })
    try {
      await store.connect()
      return store
    } catch (error) {
      store.close()
      throw error
    }
  }
  const what = `Redis at ${hostAndPort(config.redis.host, config.redis.port)}`
  return await whenAvailable(connect, { what, unavailable: 'HC_REDIS_UNAVAILABLE', log, signal })
}
