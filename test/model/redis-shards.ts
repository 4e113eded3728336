import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import { replyByCode } from '../../core/outcomes.ts'
import { settleRights } from '../../core/recovery/settle-rights.ts'
import type { RightsOfUser, ShardEpoch } from '../../core/redis/rights-store.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import type { UserEntry } from '../../core/redis/user-entry.ts'
import { decodeSnapshot, type RedisSale } from '../../ops/tools/audit/redis-side.ts'
import { SoldItems } from '../../server/worker/selling/sold-items.ts'
import { decideBatch, openEverywhere, type RightsCommand, type RightsDecided } from '../helpers/sharded-sale.ts'
import { type RedisClockSteps, stepRedisClock } from '../helpers/stepped-redis-clock.ts'
import type { ModelShard, RightsTerms } from './rights-model.ts'
import type { RealShards } from './rights-run.ts'

const sale = 1
const recordId = 'of the model'
/** Of the sale around the moment at which a run begins: no run gets near either end. */
const openMs = 3_600_000
/** As Redis has one that belongs to a run that isn't there any more. */
const runBefore = 'run-before'

/** Shards of one sale in a real Redis, each reached by a store of its own. What they have is dropped at each `open`. */
export class RedisShards implements RealShards {
  readonly #stores: readonly SaleStore[]
  readonly #admin: Redis
  readonly #startMs: number
  #terms: RightsTerms | undefined
  /** Of each shard, as a worker keeps it. */
  #sold: readonly SoldItems[] = []
  #clock: RedisClockSteps | undefined

  constructor(stores: readonly SaleStore[], admin: Redis, startMs: number) {
    this.#stores = stores
    this.#admin = admin
    this.#startMs = startMs
  }

  async open(terms: RightsTerms): Promise<void> {
    await this.#admin.flushdb()
    this.#clock = await stepRedisClock(this.#admin)
    await this.setClock(this.#startMs)
    const { shards, items, limit, holdMs } = terms
    for (const store of this.#stores.slice(0, shards)) await store.claimEpoch(1, recordId)
    const times = { opensAtMs: this.#startMs - openMs, closesAtMs: this.#startMs + openMs }
    await openEverywhere(this.#stores, { sale, ...times, items, userLimit: limit, holdMs, shards })
    this.#terms = terms
    this.#sold = this.#stores.map(() => new SoldItems())
  }

  async setClock(nowMs: number): Promise<void> {
    await this.#clock?.stand(nowMs)
  }

  decide(shard: number, commands: readonly RightsCommand[]): Promise<RightsDecided> {
    // Kept over everything but the end of the run, also where the shard has forgotten what was sold: it decides in a new epoch.
    const sold = this.#sold[shard] ?? assert.fail()
    return decideBatch(this.#store(shard), sale, { commands, sold })
  }

  async assertRefused(shard: number, commands: readonly RightsCommand[]): Promise<void> {
    await assert.rejects(this.decide(shard, commands), { code: 'HC_RECORD_UNSOUND' })
  }

  async save(shard: number): Promise<void> {
    for (const key of this.#keys(shard)) await this.#copy(key, savedAs(key))
  }

  /** It is what another run of Redis finds. */
  async putBack(shard: number): Promise<void> {
    for (const key of this.#keys(shard)) await this.#copy(savedAs(key), key)
    await this.#admin.hset(this.#store(shard).keys.sales, 'run', runBefore)
  }

  async acceptFrom(shard: number, peer: ShardEpoch): Promise<number> {
    const { epoch, sales } = await this.#store(shard).rights.acceptFrom(peer)
    assert.deepEqual(sales, this.#terms?.shards === 1 ? [] : [sale])
    return epoch
  }

  /** In the order of their names. */
  async rightsWith(shard: number, peer: number, isAdmitted: boolean): Promise<RightsOfUser[]> {
    const found = new Map<string, RightsOfUser>()
    let cursor = '0'
    do {
      const page = await this.#store(shard).rights.with(sale, peer, { cursor, count: 1, isAdmitted })
      for (const each of page.users) found.set(each.user, each)
      cursor = page.cursor
    } while (cursor !== '0')
    return [...found.values()].toSorted((a, b) => (a.user < b.user ? -1 : 1))
  }

  async restoreRights(shard: number, peer: number, users: readonly RightsOfUser[]): Promise<void> {
    assert.ok(await this.#store(shard).rights.restore(sale, peer, users))
  }

  settle(shards: readonly number[]): Promise<number> {
    return settleRights(
      shards.map((shard) => this.#store(shard)),
      sale,
    )
  }

  async admit(
    shard: number,
    epochs: { old: number; new: number },
    accepts: ReadonlyMap<number, number>,
  ): Promise<void> {
    const store = this.#store(shard)
    // Without a new epoch what was sold is not final. The test of that looks for something else.
    if (epochs.new === epochs.old) this.#sold[shard]?.clear()
    const { last } = await store.logState()
    await store.admit({
      run: store.run,
      epoch: epochs.old,
      recordId,
      ...(epochs.new === epochs.old ? {} : { begins: { epoch: epochs.new, after: last } }),
      accepts: [...accepts].map(([peer, epoch]) => ({ shard: peer, epoch })),
    })
  }

  async assertLike(shards: readonly ModelShard[], nowMs: number): Promise<void> {
    const found = await Promise.all(shards.map(({ number }) => this.#sale(number)))
    for (const [number, { users, counts, sold, held }] of found.entries()) {
      const model = shards[number] ?? assert.fail()
      assert.deepEqual(users, entriesOf(model), `users of shard ${number}`)
      const named = [...counts].map(([code, count]) => [replyByCode[code], count] as const)
      assert.deepEqual(new Map(named), model.counts, `counts of shard ${number}`)
      assert.deepEqual(new Map<number, object>([...sold, ...held]), this.#itemsOf(model), `items of shard ${number}`)
    }
    this.#assertWithinLimit(
      found,
      shards.map(({ isAdmitted }) => isAdmitted),
      nowMs,
    )
  }

  #itemsOf({ items }: ModelShard): Map<number, object> {
    const opensAtMs = this.#startMs - openMs
    const entries = [...items].map(([index, { nonce, user, expiresAtMs, purchasedAtMs, isReleased }]) => {
      const end = { expiresAtMs: isReleased ? opensAtMs : expiresAtMs }
      return [index, { user, nonce, ...(purchasedAtMs === undefined ? end : { purchasedAtMs }) }] as const
    })
    return new Map(entries)
  }

  /** By what Redis has alone, once by what takes up the limit, once by the items that were sold. */
  #assertWithinLimit(found: readonly RedisSale[], areAdmitted: readonly boolean[], nowMs: number): void {
    const used = new Map<string, number>()
    const bought = new Map<string, number>()
    for (const [shard, { users, sold }] of found.entries()) {
      for (const { user } of sold.values()) add(bought, user, 1)
      for (const [user, { purchases, holdsExpireAtMs }] of users) {
        const live = holdsExpireAtMs.filter((end) => nowMs < end).length
        add(used, user, purchases + (areAdmitted[shard] === true ? live : 0))
      }
    }
    const limit = this.#terms?.limit ?? 0
    for (const [user, count] of [...used, ...bought]) assert.ok(count <= limit, `${user} has ${count} of ${limit}`)
  }

  async #sale(shard: number): Promise<RedisSale> {
    const found = decodeSnapshot(await this.#store(shard).snapshot(sale)) ?? assert.fail('the sale is listed')
    assert.deepEqual(found.unreadable, [])
    return found
  }

  #store(shard: number): SaleStore {
    return this.#stores[shard] ?? assert.fail()
  }

  #keys(shard: number): string[] {
    const { prefix, sales, log } = this.#store(shard).keys
    const parts = ['items', 'users', 'counts', 'holds', 'lapsed'].map((part) => `${prefix}sale:${sale}:${part}`)
    return [sales, log, ...parts]
  }

  async #copy(from: string, to: string): Promise<void> {
    if ((await this.#admin.copy(from, to, 'REPLACE')) === 0) await this.#admin.del(to)
  }
}

function add(to: Map<string, number>, user: string, count: number): void {
  to.set(user, (to.get(user) ?? 0) + count)
}

function savedAs(key: string): string {
  return `${key}:saved`
}

function entriesOf({ buyers }: ModelShard): Map<string, UserEntry> {
  const entries = [...buyers].map(([user, { bought, ends, lent, got }]) => {
    const rights = lent.map((count, peer) => ({ peer, lent: count, got: got[peer] ?? 0 }))
    const moved = rights.filter((each) => each.lent > 0 || each.got > 0)
    const holdsExpireAtMs = ends.toSorted((a, b) => a - b)
    return [user, { purchases: bought, holdsExpireAtMs, rights: moved }] as const
  })
  return new Map(entries)
}
