import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { BatchWriter, DecisionReader, type EncodedBatch } from '../../core/decisions.ts'
import { nonceLength } from '../../core/ids.ts'
import { outcomes } from '../../core/outcomes.ts'
import { infoFields } from '../../core/redis/info.ts'
import { encodeItemEntry } from '../../core/redis/item-entry.ts'
import { ReplyScanner } from '../../core/redis/reply-scanner.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { encodeUserEntry } from '../../core/redis/user-entry.ts'
import { encodeCommand } from '../../core/redis/wire.ts'
import { firstShard } from '../../core/shards.ts'
import { msPerSecond } from '../../core/time.ts'
import { commandTimeoutMs } from '../growth/stage.ts'
import { median } from '../harness/median.ts'
import { type RedisChild, startRedisChild } from '../harness/redis-child.ts'

/**
 * What is asked of Redis for one call of checkouts that get their items. function: as it is, the decision. changes: the same
 * reads, writes and log entry by plain commands, with values that came ready made; nothing is decided. log: the log entry alone.
 */
export type Errand = 'function' | 'changes' | 'log'

export interface BareCalls {
  readonly redisUs: number
  /** Of this process, which only writes a call and waits for its answer. */
  readonly clientUs: number
  /** From the call to its answer, the median. */
  readonly callMs: number
}

interface Checkout {
  readonly index: string
  readonly nonce: string
  readonly user: string
}

type Command = (string | number | Buffer)[]

const sale = 1
const hourMs = 3_600_000
const intervalMs = 24 * hourMs
const holdMs = 12 * hourMs
const itemsMax = 1_000_000_000
const userLimit = 60_000
const users = 200_000
/** Coprime to the users. */
const userStride = 7_919
const ttlSeconds = 86_400
/** Of the log. */
const epoch = 1
const minus = '-'.charCodeAt(0)
/** Of the plain commands, whose keys are none of the function's. */
const bare = { items: 'bare:items', users: 'bare:users', counts: 'bare:counts', holds: 'bare:holds', log: 'bare:log' }

/** A Redis that has nothing else to do, asked for one call at a time. */
export class BareRedis {
  readonly #redis: RedisChild
  readonly #store: SaleStore
  readonly #socket: Socket
  readonly #opensAtMs: number
  #checkouts = 0

  private constructor(redis: RedisChild, parts: { store: SaleStore; socket: Socket; opensAtMs: number }) {
    this.#redis = redis
    this.#store = parts.store
    this.#socket = parts.socket
    this.#opensAtMs = parts.opensAtMs
  }

  static async start(): Promise<BareRedis> {
    const redis = await startRedisChild(['auto-aof-rewrite-percentage 0'])
    const store = new SaleStore(redis.settings, { shard: firstShard, name: 'hotcakes-budget', commandTimeoutMs })
    const socket = connect(redis.settings.port, redis.settings.host).setNoDelay()
    try {
      await once(socket, 'connect')
      await store.connect()
      await store.claimEpoch(epoch)
      const opensAtMs = Date.now() - hourMs
      const terms = { opensAtMs, closesAtMs: opensAtMs + intervalMs, items: itemsMax, userLimit, holdMs, shards: 1 }
      await store.openSale({ sale, ...terms }, ttlSeconds)
      return new BareRedis(redis, { store, socket, opensAtMs })
    } catch (error) {
      socket.destroy()
      store.close()
      await redis.stop()
      throw error
    }
  }

  /** @param isSynced false: answers don't wait for the disk. What it costs less is the fsync's share */
  async measure(
    errand: Errand,
    { calls, commands, isSynced = true }: { calls: number; commands: number; isSynced?: boolean },
  ): Promise<BareCalls> {
    const { redis } = this.#store
    await redis.config('SET', 'appendfsync', isSynced ? 'always' : 'no')
    const first = await this.#decide(this.#encode(this.#newCheckouts(commands)))
    const prepared = Array.from({ length: calls }, () => this.#prepare(errand, this.#newCheckouts(commands), first))
    const timesMs: number[] = []
    const [redisBefore, clientBefore] = [await this.#redisCpuUs(), process.cpuUsage()]
    for (const call of prepared) {
      const startedMs = performance.now()
      await call()
      timesMs.push(performance.now() - startedMs)
    }
    const { user, system } = process.cpuUsage(clientBefore)
    const redisUs = (await this.#redisCpuUs()) - redisBefore
    await redis.config('SET', 'appendfsync', 'always')
    // What nobody drains would only make Redis larger from round to round.
    for (const log of [this.#store.keys.log, bare.log]) await redis.call('XTRIM', log, 'MAXLEN', '0')
    const all = calls * commands
    return { redisUs: redisUs / all, clientUs: (user + system) / all, callMs: median(timesMs) }
  }

  async stop(): Promise<void> {
    this.#socket.destroy()
    this.#store.close()
    await this.#redis.stop()
  }

  /** Encodes all that can be before the clock runs. @param results of a call of as many, for the log */
  #prepare(errand: Errand, checkouts: readonly Checkout[], results: Buffer): () => Promise<unknown> {
    const batch = this.#encode(checkouts)
    if (errand === 'function') return async () => await this.#decide(batch)
    const commands = errand === 'changes' ? this.#changesOf(checkouts) : []
    commands.push(['XADD', bare.log, '*', 'b', batch.entry, 'r', results])
    const encoded = Buffer.concat(commands.map(encodeCommand))
    return async () => await exchange(this.#socket, encoded, commands.length)
  }

  /** All that the function asks of Redis for them, in its order. */
  #changesOf(checkouts: readonly Checkout[]): Command[] {
    const atMs = Date.now() + holdMs
    const user = encodeUserEntry({ purchases: 0, holdsExpireAtMs: [atMs], rights: [] }, this.#opensAtMs, 1)
    const entries = checkouts.map((one) => encodeItemEntry({ state: 'held', atMs, ...one }, this.#opensAtMs))
    return [
      ['HMGET', bare.items, ...checkouts.map(({ index }) => index)],
      ['HMGET', bare.users, ...checkouts.map((one) => one.user)],
      ['HSET', bare.items, ...checkouts.flatMap(({ index }, at) => [index, entries[at] as Buffer])],
      ['HSET', bare.users, ...checkouts.flatMap((one) => [one.user, user])],
      ['HINCRBY', bare.holds, Math.floor(atMs / msPerSecond), checkouts.length],
      ['HINCRBY', bare.counts, outcomes.held.code, checkouts.length],
    ]
  }

  async #decide(batch: EncodedBatch): Promise<Buffer> {
    const { results } = await this.#store.decide(batch)
    const decisions = new DecisionReader(results)
    while (decisions.next()) assert.equal(decisions.outcome, 'held')
    return results
  }

  #encode(checkouts: readonly Checkout[]): EncodedBatch {
    const batch = new BatchWriter(intervalMs)
    for (const { index, nonce, user } of checkouts) batch.add(sale, index, nonce, user)
    return batch.encode()
  }

  #newCheckouts(count: number): Checkout[] {
    return Array.from({ length: count }, () => {
      const n = ++this.#checkouts
      const nonce = String(n).padStart(nonceLength, 'A')
      return { index: String(n), nonce, user: `user-${(n * userStride) % users}` }
    })
  }

  async #redisCpuUs(): Promise<number> {
    const info = infoFields(await this.#store.redis.info('cpu'))
    return (Number(info.get('used_cpu_user')) + Number(info.get('used_cpu_sys'))) * 1e6
  }
}

/** Writes commands at once. @returns when their answers are there @throws when one is refused */
async function exchange(socket: Socket, encoded: Buffer, answers: number): Promise<void> {
  let left = answers
  let received: Buffer = Buffer.alloc(0)
  const endOfFirst = (): number => new ReplyScanner().endIn(received, 0)
  const answered = new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      for (let end = endOfFirst(); left > 0 && end >= 0; end = endOfFirst()) {
        if (received[0] === minus) reject(new Error(received.toString('latin1', 1, end)))
        received = received.subarray(end)
        left -= 1
      }
      if (left > 0) return
      socket.off('data', onData)
      resolve()
    }
    socket.on('data', onData)
  })
  socket.write(encoded)
  await answered
}
