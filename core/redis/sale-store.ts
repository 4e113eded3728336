import type { Redis } from 'ioredis'
import type { EncodedBatch, SaleTerms } from '../decisions.ts'
import { Fault } from '../faults.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../log-position.ts'
import { msPerSecond } from '../time.ts'
import { type ConnectionOptions, connectRedis, firstConnect, type RedisSettings, redisFault } from './connection.ts'
import { ConnectionRun } from './connection-run.ts'
import { DirectCalls } from './direct-calls.ts'
import { type Durability, inspectDurability } from './durability.ts'
import { pairs } from './flat-pairs.ts'
import { readInfo, readMemoryShare } from './info.ts'
import { decodeItemEntry, type ItemEntry, isItemEntrySold, itemEntryTimeMs } from './item-entry.ts'
import { type ShardKeys, shardKeys } from './keys.ts'
import { assertRights, callFunction, functionName, loadLibrary } from './library.ts'
import { type PersisterState, readPersisterState } from './persister-state.ts'
import { RightsStore, type ShardEpoch } from './rights-store.ts'
import { decodeSaleField, type ListedSale } from './sale-field.ts'

/** The answer to a batch: `results` for a DecisionReader, `id` that of its log entry, `<epoch>-<seq>`. */
export interface DecidedBatch {
  readonly results: Buffer
  readonly id: string
}

export interface SaleState extends SaleTerms {
  readonly sold: number
  /** Live holds; may still count holds that expired less than a second ago. */
  readonly held: number
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
}

export interface WatchedSale {
  readonly terms: SaleTerms
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
  /** Another than the one asked with: what was noted does not follow on what the watcher knows. */
  readonly sinceMs: number
  /** Bytes noted so far. */
  readonly end: number
  /** For visitItemChanges. */
  readonly changes: Buffer
}

/** What the board shows of an item that somebody touched. */
export interface ScannedItem {
  readonly index: number
  readonly isSold: boolean
  /** Expiry of the hold or moment of the purchase, ms since the sale opened. */
  readonly timeMs: number
}

export interface LogState {
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
  /** Log entries not yet in Postgres (some may be committed but not trimmed yet). */
  readonly backlogEntries: number
  /** Age of the oldest of them in seconds; 0 when there is none. */
  readonly lagSeconds: number
  /** Position of the newest entry ever written. */
  readonly last: LogPosition
  /** What the persister last said of itself; undefined if none did for a while. */
  readonly persister: PersisterState | undefined
  /** The epoch that decisions are logged in; undefined: Redis is new, or was emptied, or fenced off. */
  readonly epoch: number | undefined
  /** The run of Redis that was found to have everything that Postgres has: see functions/shared.lua. */
  readonly admittedRun: string | undefined
  /** The identity of the record in Postgres that it belongs to. */
  readonly recordId: string | undefined
  /** Redis' replication ID when the epoch began; undefined: a version began it that didn't say. */
  readonly historyAtAdmission?: string | undefined
}

/** The history of a master's data, by Redis' replication IDs. */
export interface History {
  /** Another one when the data were exchanged without a restart, or the process was a replica meanwhile. */
  readonly id: string
  /** That of the master whose replica it was when it was promoted; undefined: it was not, or has forgotten it. */
  readonly before: string | undefined
}

/** Some items of a sale that Redis lists, at one moment. */
export interface SomeItems {
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
  readonly terms: SaleTerms
  /** One for each index that was asked for, in order; undefined: nobody has touched the item. */
  readonly items: readonly (ItemEntry | undefined)[]
}

/** A moment of one sale: everything that Redis knows of it, and the log position of that moment. */
export interface SaleSnapshot {
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
  readonly last: LogPosition
  /** undefined: Redis does not list the sale (any more). */
  readonly terms: SaleTerms | undefined
  /** When Redis drops the sale's keys, ms since the epoch: it may list the sale a while longer. */
  readonly expiresAtMs: number | undefined
  /** Item index -> item entry, user -> user entry, both as Redis has them; outcome code -> count. */
  readonly items: ReadonlyMap<string, Buffer>
  readonly users: ReadonlyMap<string, Buffer>
  readonly counts: ReadonlyMap<number, number>
}

/** What a run is admitted with. */
export interface Admitted {
  readonly run: string
  /** Of the data, which must not have changed since they were compared. */
  readonly epoch: number
  readonly recordId: string
  /** The epoch that begins with it, and where the log has to end for that; undefined: the one before goes on. */
  readonly begins?: { readonly epoch: number; readonly after: LogPosition }
  /** Of the other shards: nothing counts that they have said in an older epoch. */
  readonly accepts?: readonly ShardEpoch[]
}

export interface StoreOptions extends ConnectionOptions {
  /** Whose keys it works on. */
  readonly shard: number
}

/**
 * A shard in Redis, the authority over its sales: the one class that calls the functions, but for those of a rebuild.
 * Every method that asks Redis may throw a Fault: HC_REDIS_UNAVAILABLE without an answer, HC_REDIS_REFUSED when Redis refuses
 * or lists a sale that can't be read. `decide`, `openSale` and `admit` throw HC_RECORD_UNSOUND when Redis may not be sold
 * from; `logState` and `snapshot` throw HC_LOG_MALFORMED for a position that is none.
 */
export class SaleStore {
  readonly shard: number
  readonly keys: ShardKeys
  readonly redis: Redis
  /** The rights of its buyers, between it and the other shards. */
  readonly rights: RightsStore
  readonly #settings: RedisSettings
  readonly #decideName = functionName('decide')
  readonly #run: ConnectionRun
  readonly #direct: DirectCalls

  constructor(settings: RedisSettings, options: StoreOptions) {
    this.#settings = settings
    this.shard = options.shard
    this.keys = shardKeys(options.shard, { isCluster: (settings.cluster ?? '') !== '' })
    this.redis = connectRedis(settings, options)
    this.#run = new ConnectionRun(this.redis)
    this.#direct = new DirectCalls(this.redis)
    this.rights = new RightsStore(this)
  }

  /** Connects and loads the functions. @throws Fault */
  async connect(): Promise<void> {
    await firstConnect(this.redis, this.#settings)
    await loadLibrary(this.redis)
    await this.assertRights()
    await this.#run.asked
    if (!this.isUp) throw new Fault('HC_REDIS_UNAVAILABLE', 'the connection was lost at once')
  }

  get isUp(): boolean {
    return this.#run.known !== '' && this.redis.status === 'ready'
  }

  /** The run_id of the Redis process that the connection leads to. @throws Fault HC_REDIS_UNAVAILABLE while there is none */
  get run(): string {
    return this.#run.current
  }

  /** @throws Fault HC_REDIS_UNAVAILABLE also when it is a replica, which takes no writes: then another connection is tried */
  async history(): Promise<History> {
    const info = await readInfo(this.redis, 'replication')
    const [id = '', before = ''] = [info.get('master_replid'), info.get('master_replid2')]
    if (id !== '' && info.get('role') === 'master') return { id, before: /[^0]/.test(before) ? before : undefined }
    this.redis.disconnect(true)
    throw new Fault('HC_REDIS_UNAVAILABLE', 'this Redis is a replica')
  }

  /** @throws Fault HC_REDIS_REFUSED when a command of the functions may not be used */
  async assertRights(): Promise<void> {
    await assertRights(this.redis, this.keys)
  }

  /** @throws Fault HC_REDIS_UNSUITABLE too, when Redis is too old for functions */
  inspectDurability(): Promise<Durability> {
    return inspectDurability(this.redis)
  }

  /**
   * Decides a batch (see decisions.ts) and logs it, in one atomic step. When it throws, the outcome is unknown.
   */
  async decide({ entry, columns, sales }: EncodedBatch): Promise<DecidedBatch> {
    const [results, id] = (await callFunction(this.redis, this.keys, {
      name: this.#decideName,
      args: [entry, columns, this.#run.known],
      sales,
      direct: this.#direct,
    })) as [Buffer, Buffer]
    return { results, id: id.toString('latin1') }
  }

  /**
   * Lists a sale unless it is listed already; returns the terms in force and whether this call opened it.
   * @param expiresAtMs as another shard lists it; without it Redis keeps the sale for so long after its end
   */
  async openSale(
    terms: SaleTerms,
    ttlSeconds: number,
    expiresAtMs?: number,
  ): Promise<ListedSale & { opened: boolean; nowMs: number }> {
    const { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards } = terms
    const expireAt = expiresAtMs === undefined ? '' : expiresAtMs / msPerSecond
    const args = [sale, opensAtMs, closesAtMs, items, userLimit, holdMs, ttlSeconds, this.#run.known, shards, expireAt]
    const [field, opened, nowMs] = (await this.#call(functionName('open'), ...args)) as [Buffer, number, number]
    return { ...decodeSaleField(sale, field), opened: opened === 1, nowMs }
  }

  /** Lets an empty Redis decide, in that epoch. Does nothing to one that has any state; returns the epoch in force. */
  async claimEpoch(epoch: number, recordId = ''): Promise<number> {
    return Number(String(await this.#call(functionName('claim_epoch'), epoch, this.run, recordId)))
  }

  /**
   * Lets a run of Redis decide, whose state was compared with Postgres; with `run` '-' none.
   * @throws Fault HC_RECORD_UNSOUND when the state is of another epoch or record meanwhile, or the log went on
   */
  async admit({ run, epoch, recordId, begins, accepts = [] }: Admitted): Promise<void> {
    const next = begins === undefined ? ['', ''] : [begins.epoch, formatLogPosition(begins.after)]
    const accepted = accepts.flatMap((each) => [each.shard, each.epoch])
    await this.#call(functionName('admit'), epoch, run, recordId, ...next, ...accepted)
  }

  /** Has Redis refuse all decisions until it is rebuilt, if this is the epoch in force. */
  async fence(epoch: number): Promise<void> {
    await this.#call(functionName('fence'), epoch)
  }

  /**
   * Keeps the value of a setting that all servers share for so long, unless a server keeps another one; returns the one that
   * is kept. `interval`: ms between sales; `shards`: of the sales to come.
   */
  async keep(setting: 'interval' | 'shards', value: number, leaseMs: number): Promise<number> {
    return (await this.#call(functionName('keep'), setting, value, leaseMs)) as number
  }

  /** undefined when Redis does not list the sale. */
  async saleState(sale: number): Promise<SaleState | undefined> {
    type Reply = [Buffer | null, number, number, number]
    const [field, sold, held, nowMs] = (await this.#callOnSale(functionName('sale_state'), sale)) as Reply
    return field === null ? undefined : { ...decodeSaleField(sale, field).terms, sold, held, nowMs }
  }

  /**
   * The changes of a sale's items from `offset` on, at most `bytesMax` of them; undefined when Redis does not list the
   * sale. They are noted only while this is called every few seconds: it costs `decide` one call a batch.
   */
  async watch(
    sale: number,
    from: { sinceMs: number; offset: number; bytesMax: number },
  ): Promise<WatchedSale | undefined> {
    type Reply = [Buffer | null, number, number, number, Buffer]
    const args = [sale, from.sinceMs, from.offset, from.bytesMax] as const
    const [field, nowMs, sinceMs, end, changes] = (await this.#callOnSale(functionName('watch'), ...args)) as Reply
    return field === null ? undefined : { terms: decodeSaleField(sale, field).terms, nowMs, sinceMs, end, changes }
  }

  /**
   * Some `count` of a sale's touched items; go on with the returned cursor until it is '0'. Not one moment: an item that
   * changes meanwhile may come as it was or as it is, or twice.
   */
  async scanItems(sale: number, cursor: string, count: number): Promise<{ cursor: string; items: ScannedItem[] }> {
    const key = this.keys.items(sale)
    const [next, flat] = await this.redis.hscanBuffer(key, cursor, 'COUNT', count).catch(rethrow)
    const items = [...pairs(flat)].map(([index, entry]) => ({
      index: Number(index),
      isSold: isItemEntrySold(entry),
      timeMs: itemEntryTimeMs(entry),
    }))
    return { cursor: String(next), items }
  }

  /** Every listed sale's terms, in order of their numbers. */
  async listSales(): Promise<SaleTerms[]> {
    const fields = await this.redis.hgetall(this.keys.sales).catch(rethrow)
    return Object.entries(fields)
      .filter(([name]) => /^\d+$/.test(name))
      .map(([name, field]) => decodeSaleField(Number(name), field).terms)
      .toSorted((a, b) => a.sale - b.sale)
  }

  async logState(): Promise<LogState> {
    type Owner = [epoch: Buffer | null, run: Buffer | null, recordId: Buffer | null, history: Buffer | null]
    type Reply = [number, number, Buffer, number | null, Buffer[], Owner]
    const reply = (await this.#call(functionName('log_state'))) as Reply
    const [nowMs, backlogEntries, last, since, persister, [epoch, run, recordId, history]] = reply
    const [ofEpoch, historyAtAdmission] = String(history ?? '').split(':')
    return {
      nowMs,
      backlogEntries,
      lagSeconds: since === null ? 0 : Math.max(0, nowMs - since) / 1_000,
      last: parseLogPosition(last.toString('latin1')),
      persister: readPersisterState(persister),
      epoch: epoch === null ? undefined : Number(String(epoch)),
      admittedRun: run?.toString('latin1'),
      recordId: recordId?.toString('latin1'),
      // A version before leaves that of an older epoch where it is.
      historyAtAdmission: epoch !== null && ofEpoch === String(epoch) ? historyAtAdmission : undefined,
    }
  }

  /** Of the memory that Redis may use, from 0 to about 1; 0 when it has no bound or does not tell. */
  memoryShare(): Promise<number> {
    return readMemoryShare(this.redis)
  }

  /** Every `step`th item from `first` on, whether the sale has so many or not. undefined when Redis does not list the sale. */
  async someItems(sale: number, first: number, count: number, step = 1): Promise<SomeItems | undefined> {
    type Reply = [Buffer | null, number, (Buffer | null)[]]
    const reply = (await this.#callOnSale(functionName('item_entries'), sale, first, count, step)) as Reply
    const [field, nowMs, entries] = reply
    if (field === null) return undefined
    const { terms } = decodeSaleField(sale, field)
    const decode = (entry: Buffer | null) => (entry === null ? undefined : decodeItemEntry(entry, terms.opensAtMs))
    return { nowMs, terms, items: entries.map(decode) }
  }

  /** Outcome code -> how often it was decided for the sale. undefined when Redis does not list it. */
  async saleCounts(sale: number): Promise<{ terms: SaleTerms; counts: ReadonlyMap<number, number> } | undefined> {
    type Reply = [Buffer | null, Buffer[]]
    const [field, counts] = (await this.#callOnSale(functionName('sale_counts'), sale)) as Reply
    return field === null ? undefined : { terms: decodeSaleField(sale, field).terms, counts: countsByCode(counts) }
  }

  /** One atomic read of a whole sale: Redis is busy for about 1 ms per 2,000 touched items. */
  async snapshot(sale: number): Promise<SaleSnapshot> {
    type Reply = [number, Buffer, Buffer | null, Buffer[], Buffer[], Buffer[]]
    const reply = (await this.#callOnSale(functionName('audit_sale'), sale)) as Reply
    const [nowMs, last, field, items, users, counts] = reply
    const listed = field === null ? undefined : decodeSaleField(sale, field)
    return {
      nowMs,
      last: parseLogPosition(last.toString('latin1')),
      terms: listed?.terms,
      expiresAtMs: listed?.expiresAtMs,
      items: pairs(items),
      users: pairs(users),
      counts: countsByCode(counts),
    }
  }

  /** Outcome code -> count of the commands that named no listed sale. */
  async countsUnlisted(): Promise<ReadonlyMap<number, number>> {
    return countsByCode(
      await this.redis
        .hgetallBuffer(this.keys.countsUnlisted)
        .then(Object.entries<Buffer>, rethrow)
        .then(flatten),
    )
  }

  close(): void {
    this.redis.disconnect()
  }

  #call(name: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return callFunction(this.redis, this.keys, { name, args })
  }

  /** A call whose first argument is the sale that it touches. */
  #callOnSale(name: string, sale: number, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return callFunction(this.redis, this.keys, { name, args: [sale, ...args], sales: [sale] })
  }
}

function rethrow(error: unknown): never {
  throw redisFault(error)
}

function flatten(entries: [string, Buffer][]): Buffer[] {
  return entries.flatMap(([field, value]) => [Buffer.from(field), value])
}

function countsByCode(flat: readonly Buffer[]): Map<number, number> {
  return new Map([...pairs(flat)].map(([code, count]) => [Number(code), Number(String(count))]))
}
