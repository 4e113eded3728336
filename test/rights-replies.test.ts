// Goal: in a sale of several shards each single reply is the one that its rule demands, and what decides nothing writes
// nothing.
// Method: four shards in one real Redis. The whole database is compared before and after where nothing may change.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DecisionReader, lendNonce } from '../core/decisions.ts'
import { shardOf } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { startRedis } from './helpers/services.ts'
import { decideBatch, readReplies, userAtHome } from './helpers/sharded-sale.ts'
import { checkout, lend, openShardedShop, purchase } from './helpers/sharded-shop.ts'

const shards = 3
const redis = await startRedis({ after })
const shop = await openShardedShop({ after }, redis, shards)

test('an item that another shard has is misplaced, whatever is wanted of it, and the reply says how many there are', async () => {
  const sale = await shop.openSale()
  for (let shard = 0; shard < shards; shard++)
    for (const index of [1, 2, 3, 60, 61, 999_999_999_999_999]) {
      if (shardOf(index, shards) === shard) continue
      const receipts = [{ from: (shard + 1) % shards, epoch: 1, total: 1 }]
      const commands = [checkout(index, 'ann'), purchase(index), checkout(index, 'ann', receipts, true)]
      await shop.assertDecidesNothing(
        shard,
        sale,
        commands,
        commands.map(() => ({ reply: 'misplaced', shards })),
      )
    }
  assert.deepEqual(await shop.names(shardOf(0, shards), sale, [checkout(0, 'ann')]), ['item_unknown'])
  assert.deepEqual(await shop.names(shardOf(61, shards), sale, [checkout(61, 'ann')]), ['item_unknown'])
})

test('of a sale that is not listed only shard 0 says so, and a loan of it is said nothing of', async () => {
  const past = shop.pastSale
  const commands = [checkout(1, 'ann'), purchase(1), lend(1, 'ann')]
  for (const sale of [past, shop.saleToCome])
    for (const shard of [1, 2])
      await shop.assertDecidesNothing(shard, sale, commands, [
        { reply: 'not_listed' },
        { reply: 'not_listed' },
        { reply: 'not_listed' },
      ])
  assert.deepEqual(await shop.names(0, past, commands), ['sale_gone', 'code_unlisted', 'not_listed'])
  assert.deepEqual(await shop.names(0, shop.saleToCome, commands), ['sale_unlisted', 'code_unlisted', 'not_listed'])
  assert.deepEqual(
    await shop.store(0).countsUnlisted(),
    new Map([
      [9, 1],
      [10, 1],
      [25, 2],
    ]),
  )
  await shop.assertDecidesNothing(0, past, [lend(0, 'ann')], [{ reply: 'not_listed' }])
})

test('a sale of one shard has no loans, and reads no receipts', async () => {
  const sale = await shop.openSale({ shards: 1 })
  await shop.assertDecidesNothing(
    0,
    sale,
    [lend(1, 'ann'), lend(0, 'ann')],
    [{ reply: 'not_listed' }, { reply: 'not_listed' }],
  )
  const receipts = [{ from: 1, epoch: 1, total: 5 }]
  const commands = [checkout(2, 'ann', receipts), checkout(3, 'ann', receipts), checkout(3, 'ann', receipts, true)]
  assert.deepEqual(await shop.names(0, sale, commands), ['held', 'user_limit_reached', 'user_limit_reached'])
  assert.equal((await shop.store(0).snapshot(sale)).users.get('ann')?.length, 6)
})

test('a code of sixteen dashes is a code like any other', async () => {
  const sale = await shop.openSale()
  assert.deepEqual(await shop.names(0, sale, [purchase(1, lendNonce)]), ['code_unknown'])
  assert.deepEqual(await shop.names(0, shop.saleToCome, [purchase(1, lendNonce)]), ['code_unlisted'])
})

test('where no right is the item stays free, and nothing is written, counted or logged', async () => {
  const sale = await shop.openSale()
  const ann = userAtHome(0, shards)
  await shop.assertDecidesNothing(
    1,
    sale,
    [checkout(2, ann), checkout(5, ann)],
    [{ reply: 'rights_elsewhere' }, { reply: 'rights_elsewhere' }],
  )
  const before = await shop.store(1).snapshot(sale)
  assert.deepEqual([before.counts.size, before.users.size, before.items.size], [0, 0, 0])
  assert.deepEqual(await shop.names(1, sale, [checkout(2, userAtHome(1, shards))]), ['held'])
  assert.deepEqual(await shop.names(1, sale, [checkout(2, ann)]), ['item_held'], 'because of the item, whatever rights')
})

/** Of each command in the log entry; undefined: it has none. */
function placesIn(results: Uint8Array): (number | undefined)[] {
  const reader = new DecisionReader(results)
  const places: (number | undefined)[] = []
  for (let n = 0; reader.next(); ) places.push(reader.isPlaced ? n++ : undefined)
  return places
}

test('a place in the log entry is counted by commands that have decided or changed something', async () => {
  const sale = await shop.openSale()
  const [ann, bob] = [userAtHome(1, shards, 'ann'), userAtHome(0, shards, 'bob')]
  const commands = [
    checkout(2, bob),
    checkout(2, ann),
    lend(0, bob),
    checkout(1, bob),
    purchase(5),
    lend(2, ann),
    checkout(5, bob, [{ from: 0, epoch: 1, total: 1 }]),
    checkout(5, bob, [{ from: 0, epoch: 1, total: 1 }]),
  ]
  const decided = await decideBatch(shop.store(1), sale, { commands })
  assert.deepEqual(
    decided.replies.map(({ reply, received }) => [reply, received.length]),
    [
      ['rights_elsewhere', 0],
      ['held', 0],
      ['not_lent', 0],
      ['misplaced', 0],
      ['code_unknown', 0],
      ['not_lent', 0],
      ['held', 1],
      ['held_again', 0],
    ],
  )
  const { id, fields } = await shop.lastEntry(1)
  assert.equal(id, decided.id)
  const results = fields.get('r') ?? assert.fail()
  assert.deepEqual(readReplies(results).replies, decided.replies, 'those without a place stay in the entry')
  assert.deepEqual(placesIn(results), [undefined, 0, undefined, undefined, 1, undefined, 2, 3])
  const { counts } = await shop.store(1).snapshot(sale)
  assert.deepEqual(
    counts,
    new Map([
      [1, 2],
      [2, 1],
      [23, 1],
    ]),
  )
})

test('a right is lent once, and works where its receipt comes first', async () => {
  const sale = await shop.openSale()
  const ann = userAtHome(0, shards)
  const lent = { reply: 'lent', received: [], epoch: 1, lent: [0, 1, 0], got: [0, 0, 0] }
  const more = { ...lent, reply: 'not_lent' }
  assert.deepEqual(await shop.replies(0, sale, [lend(1, ann), lend(1, ann), lend(2, ann)]), [lent, more, more])
  assert.deepEqual(await shop.names(0, sale, [checkout(1, ann)]), ['rights_elsewhere'])
  const receipts = [{ from: 0, epoch: 1, total: 1 }]
  const [held] = await shop.replies(1, sale, [checkout(2, ann, receipts)])
  assert.deepEqual([held?.reply, held?.received], ['held', [{ from: 0, total: 1 }]])
  assert.deepEqual(await shop.names(1, sale, [checkout(5, ann)]), ['user_limit_reached'], 'all rights are here')
  const [again] = await shop.replies(1, sale, [checkout(5, ann, receipts)])
  assert.deepEqual([again?.reply, again?.received], ['user_limit_reached', []], 'a repeated receipt has no news')
  assert.deepEqual((await shop.entryOf(0, sale, ann))?.rights, [{ peer: 1, lent: 1, got: 0 }])
  assert.deepEqual((await shop.entryOf(1, sale, ann))?.rights, [{ peer: 0, lent: 0, got: 1 }])
})

test('the last word leaves nothing open, and counts', async () => {
  const sale = await shop.openSale({ userLimit: 2 })
  const ann = userAtHome(0, shards)
  assert.deepEqual(await shop.names(2, sale, [checkout(3, ann, [], true)]), ['user_limit_reached'])
  assert.deepEqual((await shop.store(2).snapshot(sale)).counts, new Map([[8, 1]]))
  assert.deepEqual(await shop.names(0, sale, [checkout(1, ann, [], true)]), ['held'])
  assert.deepEqual(await shop.names(0, sale, [checkout(4, ann)]), ['rights_elsewhere'])
  assert.deepEqual(await shop.names(0, sale, [checkout(4, ann, [{ from: 1, epoch: 1, total: 1 }], true)]), ['held'])
})

test('a receipt that finds no right to use is kept all the same', async () => {
  const sale = await shop.openSale({ userLimit: 3 })
  const commands = [
    checkout(1, 'ann'),
    checkout(4, 'bob', [{ from: 1, epoch: 1, total: 1 }]),
    checkout(1, 'bob', [{ from: 2, epoch: 1, total: 1 }]),
    checkout(61, 'bob', [{ from: 2, epoch: 1, total: 2 }]),
    lend(0, 'bob', [{ from: 2, epoch: 1, total: 3 }]),
  ]
  const found = await shop.replies(0, sale, commands)
  assert.deepEqual(
    found.map(({ reply, received }) => [reply, ...received.map(({ from, total }) => `${from},${total}`)]),
    [['held'], ['held', '1,1'], ['item_held', '2,1'], ['item_unknown', '2,2'], ['not_lent', '2,3']],
  )
  const rights = [
    { peer: 1, lent: 0, got: 1 },
    { peer: 2, lent: 0, got: 3 },
  ]
  assert.deepEqual((await shop.entryOf(0, sale, 'bob'))?.rights, rights)
})

/** A receipt for ann, and nothing else. */
function told(from: number, epoch: number, total: number) {
  return lend(0, 'ann', [{ from, epoch, total }])
}

test('what a shard said in an epoch before the one that is accepted does not count', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  const accepted = await shop.store(0).rights.acceptFrom({ shard: 1, epoch: 7 })
  assert.equal(accepted.epoch, 1)
  assert.ok(accepted.sales.includes(sale))
  assert.deepEqual((await shop.store(0).rights.acceptFrom({ shard: 1, epoch: 5 })).epoch, 1, 'it never goes back')
  const found = await shop.replies(0, sale, [
    told(1, 6, 9),
    told(1, 7, 1),
    told(2, 1, 1),
    told(1, 6, 2),
    told(1, 1_000_000, 2),
  ])
  assert.deepEqual(
    found.map(({ got }) => got),
    [
      [0, 0, 0],
      [0, 1, 0],
      [0, 1, 1],
      [0, 1, 1],
      [0, 2, 1],
    ],
  )
})

test('a receipt of the shard itself, or of none, is ignored', async () => {
  const sale = await shop.openSale()
  const ann = userAtHome(0, shards)
  const receipts = [1, 3, 63, 999_999_999].map((from) => ({ from, epoch: 1, total: 1 }))
  await shop.assertDecidesNothing(
    1,
    sale,
    [checkout(2, ann, receipts), lend(1, ann, receipts)],
    [{ reply: 'rights_elsewhere' }, { reply: 'not_lent', epoch: 1, lent: [0, 0, 0], got: [0, 0, 0] }],
  )
})

test('a loan to the shard itself, or to none, moves nothing and tells the rows', async () => {
  const sale = await shop.openSale()
  const ann = userAtHome(0, shards)
  const rows = { reply: 'not_lent', epoch: 1, lent: [0, 0, 0], got: [0, 0, 0] } as const
  await shop.assertDecidesNothing(0, sale, [lend(0, ann), lend(3, ann), lend(64, ann)], [rows, rows, rows])
  await shop.replies(0, sale, [lend(2, ann)])
  const [found] = await shop.replies(0, sale, [lend(0, ann)])
  assert.deepEqual(found?.lent, [0, 0, 1])
})

test('totals and numbers are exact up to what their bytes hold', async () => {
  const most = 2 ** 32 - 1
  const sale = await shop.openSale({ sale: 999_999_999_999_999, items: 999_999_999_999_999, userLimit: 2 })
  const receipts = [{ from: 1, epoch: 2 ** 31 + 1, total: 2 ** 31 + 1 }]
  const [first] = await shop.replies(0, sale, [lend(0, 'ann', receipts)])
  assert.deepEqual([first?.got, first?.received], [[0, 2 ** 31 + 1, 0], [{ from: 1, total: 2 ** 31 + 1 }]])
  const [second] = await shop.replies(0, sale, [lend(2, 'ann', [{ from: 1, epoch: 2 ** 31 + 1, total: most }])])
  assert.deepEqual([second?.reply, second?.lent, second?.got], ['lent', [0, 0, 1], [0, most, 0]])
  const last = 999_999_999_999_999
  const shard = shardOf(last, shards)
  const command = checkout(last, userAtHome(shard, shards))
  assert.deepEqual(await shop.names(shard, sale, [command, purchase(last, command.nonce)]), ['held', 'purchased'])
  assert.deepEqual([...(await shop.store(shard).snapshot(sale)).items.keys()], [String(last)])
  assert.deepEqual(await shop.names(shard, sale, [checkout(last + 3, 'ann')]), ['item_unknown'])
})

test("who buys what he took over in the same batch keeps his own rights, and not the holder's before", async () => {
  const sale = await shop.openSale({ holdMs: 1 })
  const [ann, bob] = [userAtHome(1, shards, 'ann'), userAtHome(0, shards, 'bob')]
  const before = checkout(1, ann, [{ from: 2, epoch: 1, total: 1 }])
  assert.deepEqual(await shop.names(0, sale, [before]), ['held'])
  // The item is still held where the batch comes within the same millisecond: then a new one is tried.
  const takeOver = async () => {
    const command = checkout(1, bob)
    const [first] = await shop.names(0, sale, [command, purchase(1, command.nonce)])
    return first === 'held'
  }
  await eventually(takeOver, { what: 'the end of the hold' })
  assert.deepEqual(await shop.entryOf(0, sale, bob), { purchases: 1, holdsExpireAtMs: [], rights: [] })
  assert.deepEqual((await shop.entryOf(0, sale, ann))?.rights, [{ peer: 2, lent: 0, got: 1 }])
})
