import assert from 'node:assert/strict'

import {
  afterNonce,
  BatchWriter,
  DecisionReader,
  lendNonce,
  type Receipt,
  type SaleTerms,
} from '../../core/decisions.ts'
import { NonceSource } from '../../core/ids.ts'
import type { Reply } from '../../core/outcomes.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { homeShard } from '../../core/rights.ts'
import { shardNumbers, shardOf } from '../../core/shards.ts'
import type { EmbeddedRedis } from '../../ops/embedded/facts.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs } from './services.ts'

const intervalMs = 3_600_000
const ttlSeconds = 86_400

interface Command {
  readonly index: string
  readonly nonce: string
  readonly user: string
}

/** A reply, as far as tests go on with it. */
interface Replied {
  readonly reply: Reply
  readonly epoch: number
  readonly lent: readonly number[]
}

/**
 * A sale over several shards, all in one Redis: a test decides which command goes where. Rights move as an HTTP worker moves
 * them, one buyer at a time.
 */
export class SpreadSale {
  readonly stores: readonly SaleStore[]
  readonly terms: SaleTerms
  /** How many buyers there were in sellSpread. */
  nextBuyer = 0
  readonly #nonces = new NonceSource()
  readonly #itemsTaken: number[]

  constructor(stores: readonly SaleStore[], terms: SaleTerms) {
    this.stores = stores
    this.terms = terms
    this.#itemsTaken = stores.map(() => 0)
  }

  /** The number of an item of the shard that was not asked for before. */
  nextItem(shard: number): number {
    const taken = this.#itemsTaken[shard] ?? 0
    this.#itemsTaken[shard] = taken + 1
    return taken * this.terms.shards + shard + 1
  }

  get sale(): number {
    return this.terms.sale
  }

  store(shard: number): SaleStore {
    const store = this.stores[shard]
    assert.ok(store)
    return store
  }

  /** One batch to one shard. */
  async decide(shard: number, commands: readonly Command[]): Promise<Replied[]> {
    const batch = new BatchWriter(intervalMs)
    for (const { index, nonce, user } of commands) batch.add(this.sale, index, nonce, user)
    const { results } = await this.store(shard).decide(batch.encode())
    const decision = new DecisionReader(results)
    const replied: Replied[] = []
    while (decision.next()) replied.push({ reply: decision.reply, epoch: decision.epoch, lent: decision.lent })
    assert.equal(replied.length, commands.length)
    return replied
  }

  /** The other shards are asked for a right, the buyer's home first, until one lends it. */
  async checkOut(user: string, item: number): Promise<{ reply: Reply; nonce: string }> {
    const { shards } = this.terms
    const shard = shardOf(item, shards)
    const nonce = this.#nonces.next()
    const command = { index: String(item), nonce, user }
    const [first] = await this.decide(shard, [command])
    assert.ok(first)
    if (first.reply !== 'rights_elsewhere') return { reply: first.reply, nonce }
    const home = homeShard(user, shards)
    const receipt = await this.#borrow(user, shard, [home, ...shardNumbers(shards).filter((each) => each !== home)])
    const rest = receipt === undefined ? afterNonce([], { isLastWord: true }) : afterNonce([receipt])
    const [second] = await this.decide(shard, [{ ...command, nonce: `${nonce}${rest}` }])
    assert.ok(second)
    return { reply: second.reply, nonce }
  }

  async #borrow(user: string, borrower: number, lenders: readonly number[]): Promise<Receipt | undefined> {
    for (const from of lenders) {
      if (from === borrower) continue
      const [asked] = await this.decide(from, [{ index: String(borrower), nonce: lendNonce, user }])
      if (asked?.reply === 'lent') return { from, epoch: asked.epoch, total: asked.lent[borrower] ?? 0 }
    }
    return undefined
  }

  async purchase(item: number, nonce: string): Promise<Reply | undefined> {
    const [only] = await this.decide(shardOf(item, this.terms.shards), [{ index: String(item), nonce, user: '' }])
    return only?.reply
  }
}

export interface SpreadOptions {
  readonly shards: number
  readonly items?: number
  readonly userLimit?: number
}

/** Connects to every shard, claims its log's first epoch and opens the sale there: the first entry of each log. */
export async function openSpreadSale(scope: Scope, redis: EmbeddedRedis, options: SpreadOptions): Promise<SpreadSale> {
  const { shards, items = 30, userLimit = 3 } = options
  const stores: SaleStore[] = []
  for (const shard of shardNumbers(shards)) {
    const store = new SaleStore(redis, { shard, name: 'hotcakes test', commandTimeoutMs })
    scope.after(() => store.close())
    await store.connect()
    await store.claimEpoch(1)
    stores.push(store)
  }
  const [first, ...others] = stores
  assert.ok(first)
  const { nowMs } = await first.logState()
  const sale = Math.floor(nowMs / intervalMs)
  const opensAtMs = sale * intervalMs
  const asked = { sale, opensAtMs, closesAtMs: opensAtMs + 2 * intervalMs, items, userLimit, holdMs: 600_000, shards }
  const { terms, expiresAtMs } = await first.openSale(asked, ttlSeconds)
  for (const other of others) await other.openSale(terms, ttlSeconds, expiresAtMs)
  return new SpreadSale(stores, terms)
}

/** Buyers who want more of a shard than it gives without asking: each buys two of its items and tries for a fourth. */
export async function sellSpread(sale: SpreadSale, users: readonly string[]): Promise<void> {
  for (const user of users) {
    const shard = sale.nextBuyer++ % sale.terms.shards
    for (let n = 0; n < 4; n++) {
      const item = sale.nextItem(shard)
      const { reply, nonce } = await sale.checkOut(user, item)
      assert.equal(reply, n < 3 ? 'held' : 'user_limit_reached')
      if (n < 2) assert.equal(await sale.purchase(item, nonce), 'purchased')
    }
  }
}
