import type { Redis } from 'ioredis'
import { Fault } from '../faults.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../log-position.ts'
import { connectRedis, firstConnect, type RedisSettings, redisFault } from './connection.ts'
import type { ShardKeys } from './keys.ts'

/** Says that everything up to the position is committed in Postgres. Returns how many listen. @throws Fault */
export async function publishCommitted(redis: Redis, keys: ShardKeys, position: LogPosition): Promise<number> {
  return await redis.publish(keys.committed, formatLogPosition(position)).catch((error: unknown) => {
    throw redisFault(error)
  })
}

export interface CommittedListenerOptions {
  /** Of the shard whose log it is. */
  readonly keys: ShardKeys
  /** Shown by Redis' CLIENT LIST. */
  readonly name: string
  /** Everything up to here is committed. An older position may come after a newer one. */
  readonly onPosition: (position: LogPosition) => void
  /** It hears nothing until it has subscribed anew, which it tries at each reconnection. */
  readonly onFault: (fault: Fault) => void
}

/**
 * Hears how far Postgres is, on a connection of its own: one that has subscribed takes no other commands. Messages that
 * are sent while it is not connected are lost, so it brings news sooner and is never the only source of it.
 */
export class CommittedListener {
  readonly #settings: RedisSettings
  readonly #redis: Redis
  readonly #channel: string
  readonly #onFault: (fault: Fault) => void

  constructor(settings: RedisSettings, { keys, name, onPosition, onFault }: CommittedListenerOptions) {
    this.#settings = settings
    this.#channel = keys.committed
    this.#onFault = onFault
    this.#redis = connectRedis(settings, { shard: keys.shard, name })
    this.#redis.on('ready', () => void this.#attempt(this.#redis.subscribe(this.#channel)))
    this.#redis.on('message', (_channel, id: string) => {
      const position = this.#parse(id)
      if (position !== undefined) onPosition(position)
    })
  }

  get isUp(): boolean {
    return this.#redis.status === 'ready'
  }

  /** For the first time; afterwards it reconnects by itself. @throws Fault */
  async connect(): Promise<void> {
    await firstConnect(this.#redis, this.#settings)
  }

  /** Gives the connection up when nothing comes back on it: without messages a dead one looks like a quiet one. */
  async check(): Promise<void> {
    if (this.isUp) await this.#attempt(this.#redis.ping())
  }

  /** It leads where the name leads by now. */
  reconnect(): void {
    if (this.isUp) this.#redis.disconnect(true)
  }

  close(): void {
    this.#redis.disconnect()
  }

  /** Anybody who may publish can say anything on it. */
  #parse(id: string): LogPosition | undefined {
    try {
      return parseLogPosition(id)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#onFault(error)
      return undefined
    }
  }

  async #attempt(answer: Promise<unknown>): Promise<void> {
    try {
      await answer
    } catch (error) {
      const fault = redisFault(error)
      this.#onFault(fault)
      if (fault.code === 'HC_REDIS_UNAVAILABLE' && this.isUp) this.#redis.disconnect(true)
    }
  }
}
