import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { RecordedPurchase } from '../../../core/purchases/recorded-purchase.ts'
import { cutPage } from './page.ts'

function purchase(shard: number, batch: number, atMs: number, user = 'ann'): RecordedPurchase {
  return { shard, epoch: 1, batch, n: 0, sale: 7, index: 1, user, nonce: 'N', at: new Date(atMs) }
}

function places(purchases: readonly RecordedPurchase[]): string[] {
  return purchases.map(({ shard, batch }) => `${shard}:${batch}`)
}

test('shards are merged by their clocks, and each keeps the order of its log where its clock stepped back', () => {
  const found = [[purchase(0, 1, 5), purchase(0, 2, 1), purchase(0, 3, 9)], [], [purchase(2, 1, 4), purchase(2, 2, 6)]]
  const { purchases, cut } = cutPage(found, 10_000)
  assert.deepEqual(places(purchases), ['2:1', '0:1', '0:2', '2:2', '0:3'])
  assert.deepEqual(cut, new Set())
})

test('what would be too many bytes is left out, and it is said of which shards', () => {
  const found = [[purchase(0, 1, 1), purchase(0, 2, 2)], [purchase(1, 1, 3), purchase(1, 2, 4)], [purchase(2, 1, 0)]]
  const { purchases, cut } = cutPage(found, 3 * 210)
  assert.deepEqual(places(purchases), ['2:1', '0:1', '0:2'])
  assert.deepEqual(cut, new Set([1]))
})

test('a purchase that is larger than a page is a page', () => {
  const { purchases, cut } = cutPage([[purchase(0, 1, 1, 'x'.repeat(5_000)), purchase(0, 2, 2)]], 1_000)
  assert.deepEqual(places(purchases), ['0:1'])
  assert.deepEqual(cut, new Set([0]))
})
