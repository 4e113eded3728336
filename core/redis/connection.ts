import { Redis, type RedisOptions } from 'ioredis'
import { listedNodes, type NodeAddress, redisPlace } from '../config/cluster-nodes.ts'
import { hostAndPort } from '../config/listen-hosts.ts'
import { Fault, isBug } from '../faults.ts'
import { redisCommandTimeoutMs, redisConnectTimeoutMs, redisQuietMs, redisReconnectDelayMsMax } from '../limits.ts'
import { ClusterMap } from './cluster-map.ts'
import { type ClusterView, readView } from './cluster-view.ts'
import { makeStringsFastAgain } from './fast-strings.ts'
import { masterConnector } from './master-connector.ts'
import { type RedisEncryption, tlsOptions } from './tls-options.ts'

makeStringsFastAgain()

/** For those who run commands of their own on a connection: only this folder imports ioredis. */
export type RedisConnection = Redis

export interface RedisSettings extends RedisEncryption {
  /** Where one Redis is that has all shards; without effect where `cluster` is set. */
  readonly host: string
  readonly port: number
  /** Some nodes of a cluster, `host:port,host:port`; '' or absent: there is one Redis. */
  readonly cluster?: string
  /** '': Redis' user `default`. */
  readonly user: string
  readonly password: string
}

export interface ConnectionOptions {
  /** In a cluster the connection leads to the master that has this shard. */
  readonly shard: number
  /** Shown by Redis' CLIENT LIST. */
  readonly name: string
  /** Called on every change between connected and not. */
  readonly onState?: (state: 'up' | 'down', about: ConnectionChange) => void
  /** Longest wait for a reply. A connection for blocking reads needs more than their block time. */
  readonly commandTimeoutMs?: number
}

export interface ConnectionChange {
  /** Why it was lost or could not be made, where that is known. */
  readonly fault?: Fault | undefined
  /** In a cluster: the master that it leads or led to. */
  readonly node?: string | undefined
  /** It was given up because that Redis does not run our commands at the moment. */
  readonly isTurnedAway?: boolean
}

/**
 * Closed is closed. ioredis forgets that it was told to disconnect as soon as one attempt to connect has ended, and may
 * have the timer of another one running, if somebody connected while it was about to do so itself.
 */
class ClosingRedis extends Redis {
  #isClosed = false

  get isClosed(): boolean {
    return this.#isClosed
  }

  override connect(callback?: Parameters<Redis['connect']>[0]): Promise<void> {
    return this.#isClosed ? Promise.reject(new Error('the connection was closed')) : super.connect(callback)
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isClosed = true
    super.disconnect(reconnect)
  }
}

/**
 * A connection that never runs a command twice. ioredis would by default queue commands while it is offline and
 * resend those whose reply was lost; a batch that Redis already decided would then be decided again. Here such a
 * command fails, and the client is told that a retry is safe because the operations themselves are idempotent.
 * Once it was connected it reconnects for ever, in a cluster to whoever has the shard then.
 */
export function connectRedis(settings: RedisSettings, options: ConnectionOptions): Redis {
  let wasUp = false
  const map = mapOf(settings)
  const turns = new WrongTurns()
  let node: string | undefined
  const onMaster = (master: NodeAddress) => {
    node = hostAndPort(master.host, master.port)
  }
  const redis = new ClosingRedis({
    ...neverTwice,
    // Until then each attempt is one of firstConnect's. Ended by disconnect() instead, it would leave a mark in ioredis,
    // which takes it for the reason to give up the connection that a later attempt made, the first time that it is lost.
    retryStrategy: (attempt: number): number | null =>
      wasUp && !redis.isClosed
        ? Math.min(50 * 2 ** Math.min(attempt + turns.inARow, 10), redisReconnectDelayMsMax)
        : null,
    // True, and never 2: the command fails, whatever it was, and the next attempt to connect looks for another master.
    reconnectOnError: (error) => {
      const isElsewhere = elsewhereReplies.test(error.message)
      if (isElsewhere) {
        turns.take()
        lastFault = redisFault(error)
      }
      return isElsewhere
    },
    ...accountOf(settings),
    ...(map === undefined
      ? addressOptions(settings, settings)
      : {
          ...(settings.tls ? { tls: {} } : {}),
          Connector: masterConnector({ ...settings, map, shard: options.shard, onMaster }),
        }),
    connectionName: options.name,
    commandTimeout: options.commandTimeoutMs ?? redisCommandTimeoutMs,
  })
  let up: boolean | undefined
  let lastFault: Fault | undefined
  redis.on('ready', () => {
    turns.begin()
    up = true
    wasUp = true
    lastFault = undefined
    options.onState?.('up', { node })
  })
  redis.on('error', (error: Error) => {
    lastFault = redisFault(error)
  })
  redis.on('close', () => {
    if (up === false) return
    up = false
    options.onState?.('down', { fault: lastFault, node, isTurnedAway: turns.isTaken })
  })
  return redis
}

/**
 * A connection to one node of a cluster, or to a plain Redis, for a few questions by whoever starts it or looks for
 * something. It does not come back once it is lost, and it also leads to a node that is loading its data.
 * @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED
 */
export async function connectNode(
  settings: RedisSettings,
  node: NodeAddress,
  { commandTimeoutMs = redisConnectTimeoutMs }: Pick<ConnectionOptions, 'commandTimeoutMs'> = {},
): Promise<Redis> {
  const redis = new Redis({
    ...neverTwice,
    ...accountOf(settings),
    ...addressOptions(settings, node),
    enableReadyCheck: false,
    retryStrategy: null,
    disconnectTimeout: 0, // it has its answers, or none will come
    connectionName: 'hotcakes map',
    commandTimeout: commandTimeoutMs,
  })
  redis.on('error', () => undefined) // whoever waits for an answer is told
  try {
    await connectOnce(redis)
    return redis
  } catch (error) {
    redis.disconnect()
    throw error
  }
}

/** Runs `ask` on a connection of its own to one node. @throws Fault, also for what `ask` is refused */
export async function askNode<Answer>(
  settings: RedisSettings,
  node: NodeAddress,
  ask: (redis: Redis) => Promise<Answer>,
): Promise<Answer> {
  const redis = await connectNode(settings, node)
  try {
    return await ask(redis)
  } catch (error) {
    throw redisFault(error)
  } finally {
    redis.disconnect()
  }
}

/** The map of the cluster that the node has which the connection leads to. @throws Fault */
export async function askView(redis: Redis, asked: NodeAddress): Promise<ClusterView> {
  try {
    const [nodes, slots] = await Promise.all([redis.call('CLUSTER', 'NODES'), redis.call('CLUSTER', 'SLOTS')])
    return readView({ asked, nodes: String(nodes), slots })
  } catch (error) {
    const fault = redisFault(error)
    // Of the users that a version before clusters had.
    throw fault.message.startsWith('NOPERM') ? new Fault(fault.code, `${fault.message}: see docs/ACCESS.md`) : fault
  }
}

/**
 * Connections that were given up because they led to a Redis that may not run our commands. In a cluster without a majority
 * each attempt is one: without longer waits between them a process would try, and say so, ten times a second.
 */
class WrongTurns {
  #count = 0
  #isTaken = false
  #lastMs = -Infinity

  /** How many there were before the last one, without a quiet moment in between. */
  get inARow(): number {
    return this.#count
  }

  /** Whether the connection is one. */
  get isTaken(): boolean {
    return this.#isTaken
  }

  /** There is a new connection. */
  begin(): void {
    this.#isTaken = false
  }

  /** The first of its replies that says so. */
  take(): void {
    if (this.#isTaken) return
    this.#isTaken = true
    const now = performance.now()
    this.#count = now - this.#lastMs < redisQuietMs ? this.#count + 1 : 0
    this.#lastMs = now
  }
}

/** The settings are what all connections of a process to one cluster have in common. */
const maps = new WeakMap<RedisSettings, ClusterMap>()

function mapOf(settings: RedisSettings): ClusterMap | undefined {
  const { cluster = '' } = settings
  if (cluster === '') return undefined
  const ask = (node: NodeAddress) => askNode(settings, node, (redis) => askView(redis, node))
  const map = maps.get(settings) ?? new ClusterMap({ listed: listedNodes(cluster), ask })
  maps.set(settings, map)
  return map
}

function accountOf({ user, password }: RedisSettings) {
  return { ...(user === '' ? {} : { username: user }), ...(password === '' ? {} : { password }) }
}

function addressOptions(settings: RedisEncryption, { host, port }: NodeAddress) {
  return { host, port, ...(settings.tls ? { tls: tlsOptions({ ...settings, host }) } : {}) }
}

const neverTwice = {
  lazyConnect: true,
  protocol: 2,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  // It subscribes anew without looking at the answer: a refusal would be an unhandled rejection.
  autoResubscribe: false,
  // CLIENT SETINFO, which newer engines know, takes a right that nothing here needs: each refusal is a line of ACL LOG.
  disableClientInfo: true,
  maxRetriesPerRequest: 0,
  connectTimeout: redisConnectTimeoutMs,
} as const satisfies RedisOptions

/** Replies of a Redis that has not run the command, and will not run the next one either: another one may. */
const elsewhereReplies = /^(?:MOVED|READONLY|CLUSTERDOWN|MASTERDOWN|UNBLOCKED) /

/**
 * Replies of one that has not run the command just now: a slot is on its way to another master, or data are loaded. ASK is
 * not followed: whoever asks there with ASKING would write what the slot's owner doesn't know of yet.
 */
const passingReplies = /^(?:ASK|TRYAGAIN|LOADING) /

/** The error codes with which the functions refuse a run of Redis that may not decide. */
const unsoundReplies = /^HC(?:EPOCH|RUN) /

/**
 * Redis' own refusals (a script error, out of memory, wrong password), ours that its state may not be sold from, and
 * everything else (no connection, no reply, a Redis that can't run the command at the moment). ioredis hangs the command with its arguments on its errors, the
 * password among them, so the original error is not kept as a cause.
 * @throws what is a bug, as it is
 */
export function redisFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  if (isBug(error)) throw error
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) }
  if (name === 'ReplyError' && !elsewhereReplies.test(message) && !passingReplies.test(message)) {
    return new Fault(unsoundReplies.test(message) ? 'HC_RECORD_UNSOUND' : 'HC_REDIS_REFUSED', message)
  }
  return new Fault('HC_REDIS_UNAVAILABLE', plainWords(name, message))
}

/** ioredis says of a lost connection how to set it up otherwise, which would run a command twice. */
function plainWords(name: string, message: string): string {
  if (name === 'MaxRetriesPerRequestError') return 'the connection was lost before the answer'
  if (message.startsWith("Stream isn't writeable")) return 'there is no connection'
  return message === '' ? 'connection failed' : message
}

/** Connects for the first time: one attempt, which may be repeated when it has failed. @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED */
export async function firstConnect(redis: Redis, settings: RedisSettings): Promise<void> {
  try {
    await connectOnce(redis)
  } catch (error) {
    const fault = redisFault(error)
    throw new Fault(fault.code, `${redisPlace(settings)}: ${fault.message}`)
  }
}

/** ioredis tells why on its own channel: the attempt itself says only that the connection is closed. @throws Fault */
async function connectOnce(redis: Redis): Promise<void> {
  let refused: Fault | undefined
  const remember = (error: Error): void => {
    refused = redisFault(error)
  }
  redis.on('error', remember)
  try {
    await redis.connect()
  } catch (error) {
    throw refused ?? redisFault(error)
  } finally {
    redis.off('error', remember)
  }
}
