import assert from 'node:assert/strict'

import { afterCode, BatchWriter, DecisionReader } from '../../core/decisions.ts'
import { NonceSource } from '../../core/ids.ts'
import type { Outcome } from '../../core/outcomes.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'

export const intervalMs = 3_600_000
const ttlSeconds = 86_400

interface Command {
  readonly item: number
  /** Without one it is a purchase, or a release. */
  readonly user?: string
  readonly isRelease?: boolean
  /** Whose the code has to be. */
  readonly buyer?: string
  readonly nonce?: string
  /** Another than the shop's. */
  readonly sale?: number
}

/** A sale of which a test decides every command itself. */
export class Shop {
  readonly sale: number
  readonly #store: SaleStore
  readonly #nonces = new NonceSource()

  constructor(store: SaleStore, sale: number) {
    this.#store = store
    this.sale = sale
  }

  /** One batch, one log entry; answers the outcomes, and the nonce of each command. */
  async decide(commands: readonly Command[]): Promise<{ outcomes: Outcome[]; nonces: string[] }> {
    const batch = new BatchWriter(intervalMs)
    const nonces = commands.map(({ nonce }) => nonce ?? this.#nonces.next())
    for (const [n, command] of commands.entries()) {
      const { sale = this.sale, item, user = '', buyer, isRelease = false } = command
      const addition = user === '' ? afterCode({ buyer, isRelease }) : ''
      batch.add(sale, String(item), `${nonces[n] ?? ''}${addition}`, user)
    }
    const { results } = await this.#store.decide(batch.encode())
    const decision = new DecisionReader(results)
    const outcomes: Outcome[] = []
    while (decision.next()) outcomes.push(decision.outcome)
    return { outcomes, nonces }
  }
}

/** Opens a shop: the current sale, 20 items, 3 to a user. Makes one log entry. */
export async function openShop(store: SaleStore): Promise<Shop> {
  const { nowMs } = await store.logState()
  await store.claimEpoch(1)
  const sale = Math.floor(nowMs / intervalMs)
  const opensAtMs = sale * intervalMs
  const terms = {
    sale,
    opensAtMs,
    closesAtMs: opensAtMs + 2 * intervalMs,
    items: 20,
    userLimit: 3,
    holdMs: 600_000,
    shards: 1,
  }
  await store.openSale(terms, ttlSeconds)
  return new Shop(store, sale)
}

/** Five batches, 21 attempts, with most of the outcomes that there are; 3 of them in no listed sale. */
export async function sellSome(shop: Shop): Promise<void> {
  const users = ['ann', 'ann', 'ann', 'ann', 'bob', 'bob', 'carl', 'bob']
  const held = await shop.decide(users.map((user, n) => ({ item: n + 1, user })))
  assert.equal(held.outcomes[3], 'user_limit_reached')
  const bought = await shop.decide([0, 1, 4].map((n) => ({ item: n + 1, nonce: held.nonces[n] ?? '' })))
  assert.deepEqual(bought.outcomes, ['purchased', 'purchased', 'purchased'])
  const others = await shop.decide([
    { item: 1, user: 'dora' },
    { item: 3, user: 'dora' },
    { item: 21, user: 'dora' },
    { item: 1, sale: shop.sale + 7, user: 'dora' },
    { item: 7, user: 'carl' },
    { item: 3 },
  ])
  const expected = ['item_sold', 'item_held', 'item_unknown', 'sale_unlisted', 'held_again', 'code_unknown']
  assert.deepEqual(others.outcomes, expected)
  await shop.decide([{ item: 9, user: 'dora' }])
  await shop.decide([
    { item: 1, nonce: held.nonces[0] ?? '' },
    { item: 1, sale: shop.sale - 50, user: 'ann' },
    { item: 1, sale: shop.sale - 50 },
  ])
}
