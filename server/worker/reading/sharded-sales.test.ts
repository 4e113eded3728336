import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import type { ItemEntry } from '../../../core/redis/item-entry.ts'
import { shardOf } from '../../../core/shards.ts'
import { SaleDirectory } from '../selling/sale-directory.ts'
import { type ReadShard, ShardedSales } from './sharded-sales.ts'

const sale = 5
const spread = 3
const terms: SaleTerms = { sale, opensAtMs: 0, closesAtMs: 9, items: 20, userLimit: 1, holdMs: 1, shards: spread }

type Condition = 'there' | 'away' | 'hanging' | 'unlisted' | 'faulty'

function entry(index: number): ItemEntry {
  return { state: 'sold', nonce: 'n'.repeat(16), user: `of-${index}`, atMs: 1 }
}

/** A shard that holds every item of its own. */
class ReadableShard implements ReadShard {
  readonly number: number
  readonly condition: Condition
  readonly clock = { observe: () => undefined }
  readonly asked: string[] = []

  constructor(number: number, condition: Condition) {
    this.number = number
    this.condition = condition
  }

  get isReadable(): boolean {
    return this.condition !== 'away'
  }

  get isAnswering(): boolean {
    return this.condition !== 'hanging'
  }

  readonly store = {
    isUp: true,
    saleState: (number: number) =>
      this.#answer(number, 'state', () => ({ ...terms, held: 10 + this.number, sold: 1, nowMs: 3 })),
    saleCounts: (number: number) =>
      this.#answer(number, 'counts', () => ({
        terms,
        counts: new Map([
          [1, 10],
          [20 + this.number, 1],
        ]),
      })),
    someItems: (number: number, first: number, count: number, step = 1) =>
      this.#answer(number, `items ${first} ${count} ${step}`, () => {
        const indexes = Array.from({ length: count }, (_, n) => first + n * step)
        const items = indexes.map((index) => (shardOf(index, spread) === this.number ? entry(index) : undefined))
        return { nowMs: 3, terms, items }
      }),
  }

  #answer<Part>(number: number, what: string, part: () => Part): Promise<Part | undefined> {
    this.asked.push(what)
    if (this.condition === 'faulty') return Promise.reject(new Fault('HC_REDIS_REFUSED', 'no'))
    return Promise.resolve(number === sale && this.condition !== 'unlisted' ? part() : undefined)
  }
}

function setUp(conditions: readonly Condition[], { isKnown = true } = {}) {
  const shards = conditions.map((condition, number) => new ReadableShard(number, condition))
  const directory = new SaleDirectory()
  if (isKnown) directory.opened(sale, spread)
  const unlisted: number[] = []
  const sales = new ShardedSales({ shards, directory, onUnlisted: (_, shard) => void unlisted.push(shard) })
  return { shards, sales, unlisted, directory }
}

const all = ['there', 'there', 'there', 'there'] as const

test('what is held and sold is the sum over the shards of the sale, and no others are asked', async () => {
  const { sales, shards } = setUp(all)
  const state = await sales.state(sale)
  assert.deepEqual([state?.held, state?.sold, state?.items, state?.missingShards], [33, 3, 20, []])
  assert.deepEqual(shards[3]?.asked, [])
  const counts = await sales.counts(sale)
  assert.deepEqual(
    [...(counts?.counts ?? [])].toSorted(([a], [b]) => a - b),
    [
      [1, 30],
      [20, 1],
      [21, 1],
      [22, 1],
    ],
  )
})

test('any stretch of items comes in order, each from its shard, and no item is asked for twice', async () => {
  for (let first = 1; first <= 7; first++) {
    for (let count = 1; count <= 8; count++) {
      const { sales } = setUp(all)
      const found = await sales.someItems(sale, first, count)
      const expected = Array.from({ length: count }, (_, n) => `of-${first + n}`)
      assert.deepEqual(
        found?.items.map((item) => item?.user),
        expected,
        `${count} from ${first} on`,
      )
    }
  }
  const { sales, shards } = setUp(all)
  await sales.someItems(sale, 2, 7)
  assert.deepEqual(
    shards.map(({ asked }) => asked),
    [['items 4 2 3'], ['items 2 3 3'], ['items 3 2 3'], []],
  )
})

for (const condition of ['away', 'hanging', 'unlisted', 'faulty'] as const) {
  test(`what a shard has that is ${condition} is missing, and it is said`, async () => {
    const { sales, unlisted } = setUp(['there', condition, 'there', 'there'])
    const state = await sales.state(sale)
    assert.deepEqual([state?.held, state?.missingShards], [22, [1]])
    const found = await sales.someItems(sale, 1, 3)
    assert.deepEqual(
      found?.items.map((item) => item?.user),
      ['of-1', undefined, 'of-3'],
    )
    assert.deepEqual(found?.missingShards, [1])
    assert.deepEqual((await sales.counts(sale))?.missingShards, [1])
    assert.equal(unlisted.length, condition === 'unlisted' ? 3 : 0)
    assert.equal((await sales.item(sale, 3))?.item?.user, 'of-3')
    if (condition === 'unlisted') assert.equal(await sales.item(sale, 2), undefined)
    if (condition === 'away') await assert.rejects(sales.item(sale, 2), { code: 'HC_REDIS_UNAVAILABLE' })
  })
}

test('a sale that no shard lists is not listed, unless one of its shards can not be asked', async () => {
  assert.equal(await setUp(['unlisted', 'unlisted', 'unlisted', 'there']).sales.state(sale), undefined)
  await assert.rejects(setUp(['unlisted', 'away', 'unlisted', 'there']).sales.state(sale), {
    code: 'HC_REDIS_UNAVAILABLE',
  })
})

test('over how many shards an unknown sale is spread the first shard says, or any that lists it', async () => {
  const known = setUp(all, { isKnown: false })
  assert.equal((await known.sales.state(sale))?.held, 33)
  assert.equal(known.directory.shardsOf(sale), spread)
  assert.equal(await known.sales.state(sale + 1), undefined)
  assert.ok(known.shards[1]?.asked.length === 1, 'the first one knows every sale')

  const without = setUp(['away', 'unlisted', 'there', 'there'], { isKnown: false })
  assert.equal((await without.sales.item(sale, 3))?.item?.user, 'of-3')
  await assert.rejects(without.sales.state(sale + 1), { code: 'HC_REDIS_UNAVAILABLE' })
  assert.deepEqual([without.sales.canRead(sale), without.sales.canRead(sale + 1)], [true, false])
})

test('with one shard it is asked as it is, whatever is known of the sale', async () => {
  const { sales, shards, unlisted } = setUp(['there'], { isKnown: false })
  await sales.state(sale)
  await sales.someItems(sale, 4, 5)
  await sales.item(sale, 2)
  assert.equal(await sales.state(sale + 1), undefined)
  assert.deepEqual(
    shards.map(({ asked }) => asked),
    [['state', 'items 4 5 1', 'items 2 1 1', 'state']],
  )
  assert.deepEqual(unlisted, [])
})
