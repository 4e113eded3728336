import type { Redis } from 'ioredis'
import { Fault } from '../faults.ts'
import { replicaWaitMs } from '../limits.ts'
import { type LogPosition, parseLogPosition } from '../log-position.ts'
import { readView } from './cluster-view.ts'
import { connectRedis, firstConnect, type RedisSettings, redisFault } from './connection.ts'
import { ConnectionRun } from './connection-run.ts'
import type { ShardKeys } from './keys.ts'
import { functionFault, functionName, isFunctionMissing, loadLibrary } from './library.ts'

/** The replicas of a shard's master, as the master itself knows them. */
export interface Replicas {
  /** So many have to have what is answered: in a cluster all that are not marked FAIL, else all that are online. */
  readonly awaited: number
  /** Those that take in what the master does. */
  readonly online: number
}

/** What a WAIT has shown. */
export interface Replicated {
  /** `confirmed` replicas have the log at least up to here. */
  readonly position: LogPosition
  readonly confirmed: number
  /** Of the moment after it. */
  readonly online: number
}

export interface ReplicaWaitsOptions {
  /** Of the shard whose log it is. */
  readonly keys: ShardKeys
  /** Shown by Redis' CLIENT LIST. */
  readonly name: string
}

/**
 * Waits until replicas have a shard's log, on a connection of its own: a WAIT on that of the batches would block the next one.
 * See functions/mark.lua for why it writes.
 */
export class ReplicaWaits {
  readonly #settings: RedisSettings
  readonly #keys: ShardKeys
  readonly #redis: Redis
  readonly #run: ConnectionRun
  readonly #markName = functionName('mark')

  constructor(settings: RedisSettings, { keys, name }: ReplicaWaitsOptions) {
    this.#settings = settings
    this.#keys = keys
    this.#redis = connectRedis(settings, { shard: keys.shard, name })
    this.#run = new ConnectionRun(this.#redis)
  }

  get isUp(): boolean {
    return this.#run.known !== '' && this.#redis.status === 'ready'
  }

  /** '' while it isn't known. */
  get run(): string {
    return this.#run.known
  }

  /** For the first time; afterwards it reconnects by itself. @throws Fault */
  async connect(): Promise<void> {
    await firstConnect(this.#redis, this.#settings)
    await this.#run.asked
  }

  /** @throws Fault HC_REDIS_REFUSED when one of its commands may not be used */
  async assertRights(): Promise<void> {
    try {
      await Promise.all([this.#redis.call('WAIT', 0, 1), this.look()])
    } catch (error) {
      const { code, message } = redisFault(error)
      throw new Fault(code, message.startsWith('NOPERM') ? `${message}: see docs/ACCESS.md` : message)
    }
  }

  /** @throws Fault */
  async look(): Promise<Replicas> {
    try {
      const isCluster = (this.#settings.cluster ?? '') !== ''
      const [role, nodes] = await Promise.all([
        this.#redis.call('ROLE'),
        isCluster ? this.#redis.call('CLUSTER', 'NODES') : undefined,
      ])
      const online = onlineReplicas(role)
      return { online, awaited: typeof nodes === 'string' ? replicasNotFailed(nodes, this.#settings) : online }
    } catch (error) {
      throw this.#overdueOr(redisFault(error))
    }
  }

  /**
   * Until so many replicas have what the log has now, or `replicaWaitMs` have passed. The run of the connection must be the
   * admitted one.
   * @throws Fault
   */
  async wait(run: string, awaited: number): Promise<Replicated> {
    const keys = this.#keys.declared([])
    const pipeline = this.#redis.pipeline()
    pipeline.call('FCALL', this.#markName, keys.length, ...keys, run)
    pipeline.call('WAIT', awaited, replicaWaitMs)
    pipeline.call('ROLE')
    const replies = (await pipeline.exec().catch(rethrow)) ?? []
    const error = replies.find(([reason]) => reason !== null)?.[0]
    if (error !== undefined && error !== null) {
      if (isFunctionMissing(error)) await loadLibrary(this.#redis)
      throw this.#overdueOr(functionFault(error))
    }
    const [id, confirmed, role] = replies.map(([, reply]) => reply)
    return { position: parseLogPosition(String(id)), confirmed: Number(confirmed), online: onlineReplicas(role) }
  }

  /** It leads where the name leads by now. */
  reconnect(): void {
    if (this.isUp) this.#redis.disconnect(true)
  }

  /** A reply that is overdue may mean a connection that is dead without a word. */
  #overdueOr(fault: Fault): Fault {
    if (fault.message === 'Command timed out') this.reconnect()
    return fault
  }

  close(): void {
    this.#redis.disconnect()
  }
}

function rethrow(error: unknown): never {
  throw redisFault(error)
}

/** Of ROLE: it lists those that have got a copy and are told of what comes since. @throws Fault when it is no master */
function onlineReplicas(role: unknown): number {
  const [name, , replicas] = role as [unknown, unknown, unknown]
  if (name === 'master' && Array.isArray(replicas)) return replicas.length
  throw new Fault('HC_REDIS_UNAVAILABLE', 'this Redis is a replica')
}

/** One that is only suspected (`fail?`) counts: it may be well, and take over. */
function replicasNotFailed(nodes: string, asked: RedisSettings): number {
  const view = readView({ asked, nodes, slots: [] })
  const own = view.nodes.find(({ isMyself }) => isMyself)
  return view.nodes.filter(({ masterId, hasFailed }) => masterId === own?.id && !hasFailed).length
}
