import type { Redis } from 'ioredis'
import { Fault } from '../faults.ts'
import { redisFault } from './connection.ts'
import { readInfo } from './info.ts'

/** Which run of Redis a connection leads to: it is asked whenever the connection was made anew. */
export class ConnectionRun {
  readonly #redis: Redis
  #run = ''
  #asked: Promise<void> = Promise.resolve()

  constructor(redis: Redis) {
    this.#redis = redis
    redis.on('ready', () => {
      this.#asked = this.#ask()
    })
    redis.on('close', () => {
      this.#run = ''
    })
  }

  /** Settled when the connection has been asked; never rejects. */
  get asked(): Promise<void> {
    return this.#asked
  }

  /** '' while it isn't known: no run is admitted by that name. */
  get known(): string {
    return this.#run
  }

  /**
   * The run_id of the process that a command reaches which is sent at once: it is lost with the connection otherwise.
   * @throws Fault HC_REDIS_UNAVAILABLE while there is none
   */
  get current(): string {
    if (this.#run === '') throw new Fault('HC_REDIS_UNAVAILABLE', 'no connection')
    return this.#run
  }

  /** Commands of one connection are answered in their order, so this answer is older than that to any later one. */
  async #ask(): Promise<void> {
    try {
      const info = await readInfo(this.#redis, 'server')
      this.#run = info.get('run_id') ?? ''
    } catch (error) {
      redisFault(error)
      // Without it nothing may be decided or copied here. The connection is mostly gone anyway; the next one is asked again.
      this.#redis.disconnect(true)
    }
  }
}
