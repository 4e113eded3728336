// Goal: a shard of several of which a part is gone decides nothing. Whoever breaks off the move of a slot may leave `items` on
// one node while `sales` is on another: every item would look free.
// Method: the functions on a real Redis, from which one key of a sale is taken away.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { RebuildWriter } from '../core/redis/rebuild-writer.ts'
import { eventually } from './helpers/eventually.ts'
import { openRedis, startRedis } from './helpers/services.ts'
import { ttlSeconds } from './helpers/sharded-sale.ts'
import { checkout, openShardedShop } from './helpers/sharded-shop.ts'
import { openShop } from './helpers/shop.ts'

const redis = await startRedis({ after })
const shop = await openShardedShop({ after }, redis, 3)
const unsound = { code: 'HC_RECORD_UNSOUND', message: /^HCEPOCH a part of a sale/ }

function keyOf(shard: number, sale: number, part: string): string {
  return `${shop.store(shard).keys.prefix}sale:${sale}:${part}`
}

/** As a rebuild leaves it: in a new epoch, with nothing in it. */
async function beginAnew(shard: number): Promise<void> {
  const store = shop.store(shard)
  const writer = new RebuildWriter(store)
  await writer.begin('record')
  await writer.end(1)
}

for (const part of ['items', 'users', 'counts']) {
  test(`without ${part} of a sale with holds a shard is fenced off, whatever is asked next`, async (t) => {
    t.after(() => beginAnew(1))
    const sale = await shop.openSale({ userLimit: 9 })
    assert.deepEqual(await shop.names(1, sale, [checkout(2, 'ann')]), ['held'])
    await shop.admin.del(keyOf(1, sale, part))

    await assert.rejects(shop.names(1, sale, [checkout(5, 'bob')]), unsound)
    assert.equal((await shop.store(1).logState()).epoch, undefined)
    // The primary finds it without an epoch, and has it rebuilt. Until then nothing is decided of any sale.
    await assert.rejects(shop.names(1, sale, [checkout(8, 'cid')]), {
      code: 'HC_RECORD_UNSOUND',
    })
    assert.deepEqual(await shop.names(0, sale, [checkout(4, 'dan')]), ['held'])
  })
}

test('a sale that nobody has held anything of yet needs none of them', async () => {
  const sale = await shop.openSale({ userLimit: 9 })
  assert.deepEqual(await shop.names(2, sale, [checkout(98, 'ann')]), ['misplaced'])
  assert.deepEqual(await shop.names(2, sale, [checkout(63, 'ann')]), ['item_unknown'])
  assert.deepEqual(await shop.names(2, sale, [checkout(3, 'ann')]), ['held'])
})

test('a sale that is listed longer than its keys live is over, and stops nothing', async () => {
  const terms = shop.terms({ shards: 3, userLimit: 9 })
  const opened = await shop.store(0).openSale(terms, ttlSeconds)
  assert.ok(opened.opened)
  assert.deepEqual(await shop.names(0, terms.sale, [checkout(1, 'ann')]), ['held'])
  // Its time is up now, as if the rest of it had passed.
  const expireAt = Math.floor(Date.now() / 1_000) - 1
  const { sales } = shop.store(0).keys
  const field = String(await shop.admin.hget(sales, String(terms.sale))).replace(/\d+$/, String(expireAt))
  await shop.admin.hset(sales, String(terms.sale), field)
  for (const part of ['items', 'users', 'counts']) await shop.admin.expireat(keyOf(0, terms.sale, part), expireAt)
  const names = await shop.names(0, terms.sale, [checkout(4, 'bob')])
  assert.deepEqual(names, ['held'], 'nothing refuses the batch')
})

test('what a rebuild has put back has to stay', async (t) => {
  t.after(() => beginAnew(1))
  const sale = await shop.openSale({ userLimit: 9 })
  assert.deepEqual(await shop.names(1, sale, [checkout(2, 'ann')]), ['held'])
  const store = shop.store(1)
  const { terms, items, users, counts } = await store.snapshot(sale)
  assert.ok(terms !== undefined)
  const writer = new RebuildWriter(store)
  await writer.begin('record')
  await writer.sale(terms, ttlSeconds)
  await writer.put(sale, 'items', [...items].flat())
  await writer.put(sale, 'users', [...users].flat())
  await writer.put(sale, 'counts', [...counts].flat())
  await writer.end(2)

  assert.deepEqual(await shop.names(1, sale, [checkout(2, 'bob')]), ['item_held'])
  await shop.admin.del(keyOf(1, sale, 'items'))
  await assert.rejects(shop.names(1, sale, [checkout(2, 'bob')]), unsound)
})

test('the note goes when the sale is dropped', async () => {
  const { sales } = shop.store(0).keys
  const before = Math.floor(Date.now() / 1_000) - 1
  await shop.admin.hset(sales, '77', `1,2,3,4,5,3,${before}`, 'held:77', `1,${before}`)
  await eventually(async () => {
    await shop.openSale()
    return (await shop.admin.hmget(sales, '77', 'held:77')).every((field) => field === null)
  })
})

test('a sale of one shard pays nothing for it', async (t) => {
  const alone = await startRedis(t)
  const admin = await openRedis(t, alone.admin)
  const single = (await openShardedShop(t, alone, 1)).store(0)
  const { sale, decide } = await openShop(single).then((each) => ({ sale: each.sale, decide: each.decide.bind(each) }))
  await admin.config('RESETSTAT')
  await decide([{ item: 1, user: 'ann' }])
  await decide([{ item: 2, user: 'bob' }])
  const stats = await admin.info('commandstats')
  assert.doesNotMatch(stats, /cmdstat_exists/)
  assert.match(stats, /cmdstat_hmget:calls=6,/)
  assert.equal(await admin.hget(single.keys.sales, `held:${sale}`), null)
})
