import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import type { Receipt, SaleTerms } from '../../core/decisions.ts'
import { nonceLength } from '../../core/ids.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { decodeUserEntry, type UserEntry } from '../../core/redis/user-entry.ts'
import { assertNothingChanges } from './redis-contents.ts'
import type { Scope } from './scope.ts'
import { openRedis, type TestRedis } from './services.ts'
import {
  connectShards,
  decideBatch,
  intervalMs,
  openEverywhere,
  type RightsCommand,
  type RightsReply,
} from './sharded-sale.ts'

const holdMs = 600_000
let nonces = 0

export function newNonce(): string {
  return String(nonces++).padStart(nonceLength, 'n')
}

export function checkout(index: number, user: string, receipts: readonly Receipt[] = [], isLastWord = false) {
  return { kind: 'checkout', index, nonce: newNonce(), user, receipts, isLastWord } as const
}

export function lend(to: number, user: string, receipts: readonly Receipt[] = []) {
  return { kind: 'lend', to, user, receipts } as const
}

export function purchase(index: number, nonce = newNonce()) {
  return { kind: 'purchase', index, nonce } as const
}

/** A shop whose sales have three shards, one to a buyer and 60 items, unless said otherwise. */
export class ShardedShop {
  readonly admin: Redis
  readonly #stores: readonly SaleStore[]
  readonly #startMs: number
  #sales = 0

  constructor(stores: readonly SaleStore[], admin: Redis, startMs: number) {
    this.#stores = stores
    this.admin = admin
    this.#startMs = startMs
  }

  store(shard: number): SaleStore {
    return this.#stores[shard] ?? assert.fail()
  }

  /** Of a sale that was never opened. */
  get pastSale(): number {
    return Math.floor(this.#startMs / intervalMs) - 3
  }

  get saleToCome(): number {
    return this.pastSale + 1_000
  }

  terms(terms: Partial<SaleTerms> = {}): SaleTerms {
    const opensAtMs = this.#startMs - 60_000
    const times = { opensAtMs, closesAtMs: opensAtMs + 2 * intervalMs, holdMs }
    this.#sales += 1
    return { sale: this.pastSale + 3 + this.#sales, ...times, items: 60, userLimit: 1, shards: 3, ...terms }
  }

  async openSale(terms: Partial<SaleTerms> = {}): Promise<number> {
    const all = this.terms(terms)
    await openEverywhere(this.#stores, all)
    return all.sale
  }

  async replies(shard: number, sale: number, commands: readonly RightsCommand[]): Promise<readonly RightsReply[]> {
    return (await decideBatch(this.store(shard), sale, { commands })).replies
  }

  async names(shard: number, sale: number, commands: readonly RightsCommand[]): Promise<string[]> {
    return (await this.replies(shard, sale, commands)).map(({ reply }) => reply)
  }

  /** And that nothing is written, which the id tells too. */
  async assertDecidesNothing(
    shard: number,
    sale: number,
    commands: readonly RightsCommand[],
    expected: readonly Partial<RightsReply>[],
  ): Promise<void> {
    await assertNothingChanges(this.admin, async () => {
      const { replies, id } = await decideBatch(this.store(shard), sale, { commands })
      const withNothingReceived = expected.map((reply) => ({ received: [], ...reply }))
      assert.deepEqual(replies, withNothingReceived)
      assert.equal(id, '')
    })
  }

  /** undefined: the shard knows nothing of the user. */
  async entryOf(shard: number, sale: number, user: string): Promise<UserEntry | undefined> {
    const { users, terms } = await this.store(shard).snapshot(sale)
    const entry = users.get(user)
    return entry && terms && decodeUserEntry(entry, terms.opensAtMs, terms.shards)
  }

  /** Name and value of the fields of the newest entry in a shard's log, and its id. */
  async lastEntry(shard: number): Promise<{ id: string; fields: Map<string, Buffer> }> {
    const { log } = this.store(shard).keys
    const [[id, flat] = assert.fail('the log is empty')] = await this.admin.xrevrangeBuffer(log, '+', '-', 'COUNT', 1)
    const fields = new Map<string, Buffer>()
    for (let at = 0; at < flat.length; at += 2) fields.set(String(flat[at]), flat[at + 1] ?? Buffer.alloc(0))
    return { id: String(id), fields }
  }
}

export async function openShardedShop(scope: Scope, redis: TestRedis, shards: number): Promise<ShardedShop> {
  const admin = await openRedis(scope, redis.admin)
  const stores = await connectShards(scope, redis.connection, shards)
  const { nowMs } = (await stores[0]?.logState()) ?? assert.fail()
  return new ShardedShop(stores, admin, nowMs)
}
