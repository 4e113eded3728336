// Goal: in a sale of several shards the functions take what is malformed for nothing else, list and deal out the same in every
// shard, and touch no key that they weren't told of.
// Method: nine shards in one real Redis. The whole database is compared before and after where nothing may change.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { BatchWriter, decodeOpenedSale, lendNonce } from '../core/decisions.ts'
import { nonceLength } from '../core/ids.ts'
import { functionName } from '../core/redis/library.ts'
import { baseRights, homeShard } from '../core/rights.ts'
import { eventually } from './helpers/eventually.ts'
import { assertNothingChanges } from './helpers/redis-contents.ts'
import { startRedis } from './helpers/services.ts'
import { decideBatch, intervalMs, readReplies, userAtHome } from './helpers/sharded-sale.ts'
import { checkout, lend, newNonce, openShardedShop } from './helpers/sharded-shop.ts'

const shards = 3
const redis = await startRedis({ after })
const shop = await openShardedShop({ after }, redis, 9)

test('listed sales that the other shard has no part in are not told', async () => {
  const [one, two, three] = [
    await shop.openSale({ shards: 1 }),
    await shop.openSale({ shards: 2 }),
    await shop.openSale(),
  ]
  const { sales } = await shop.store(0).rights.acceptFrom({ shard: 2, epoch: 1 })
  assert.deepEqual(
    [one, two, three].map((sale) => sales.includes(sale)),
    [false, false, true],
  )
})

const malformedNonces = [
  '',
  '!',
  'n'.repeat(nonceLength - 1),
  ...[
    ';',
    '!;',
    '!!',
    ';1',
    ';1,1',
    ';1,1,',
    ';,1,1',
    ';1,,1',
    ';1,1,1;',
    ';;1,1,1',
    ';1,1,1,1',
    ';1,1,1!',
    ';1,1,1;1,1',
    ',1,1,1',
    '1,1,1',
    ';-1,1,1',
    ';1,1,-1',
    ';1,1,1.5',
    ';1,1,1e3',
    ';0x1,1,1',
    '; 1,1,1',
    ';1,1,1\n',
    ';1,1,4294967296',
    ';1,1,99999999999999999999',
    'n',
    'nnnn',
  ].map((rest) => 'n'.repeat(nonceLength) + rest),
]

test('a malformed receipt refuses the whole batch and harms nothing', async () => {
  const sale = await shop.openSale()
  await assertNothingChanges(shop.admin, async () => {
    for (const malformed of malformedNonces)
      for (const [index, user] of [
        ['2', 'ann'],
        ['2', ''],
      ] as const) {
        const writer = new BatchWriter(intervalMs)
        writer.add(sale, '2', newNonce(), 'bob')
        writer.add(sale, index, malformed, user)
        const refused = { code: 'HC_REDIS_REFUSED', message: /^HCBATCH malformed command/ }
        await assert.rejects(shop.store(1).decide(writer.encode()), refused, malformed)
      }
  })
  const writer = new BatchWriter(intervalMs)
  writer.add(sale, '2', `${newNonce()};1,1,1`, '')
  await assert.rejects(shop.store(1).decide(writer.encode()), { message: /^HCBATCH/ }, 'a purchase takes no receipts')
})

test('a receipt counts for the shard that its number means, however it is written', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  await shop.store(0).rights.acceptFrom({ shard: 2, epoch: 5 })
  const writer = new BatchWriter(intervalMs)
  writer.add(sale, '0', `${lendNonce};002,1,7`, 'ann')
  writer.add(sale, '0', `${lendNonce};01,9,0003`, 'ann')
  const { replies: found } = readReplies((await shop.store(0).decide(writer.encode())).results)
  assert.deepEqual(found[0]?.got, [0, 0, 0], 'of an epoch that is not accepted')
  assert.deepEqual(found[1]?.received, [{ from: 1, total: 3 }])
})

test('an index that is no number refuses the whole batch and harms nothing, also that of a loan', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  await assertNothingChanges(shop.admin, async () => {
    for (const index of ['', '-1', '1.5', '0x1', '1e0', ' 1', 'a'])
      for (const [nonce, user] of [
        [lendNonce, 'ann'],
        [newNonce(), 'ann'],
        [newNonce(), ''],
      ] as const) {
        const writer = new BatchWriter(intervalMs)
        writer.add(sale, index, nonce, user)
        const refused = { code: 'HC_REDIS_REFUSED', message: /^HCBATCH malformed command/ }
        await assert.rejects(shop.store(0).decide(writer.encode()), refused, index)
      }
  })
})

test('each of the settings that all servers share is kept by itself', async () => {
  assert.equal(await shop.store(0).keep('interval', 5_000, 60_000), 5_000)
  assert.equal(await shop.store(0).keep('shards', 3, 60_000), 3)
  assert.equal(await shop.store(0).keep('interval', 7_000, 60_000), 5_000)
  assert.equal(await shop.store(0).keep('shards', 4, 60_000), 3)
  await shop.admin.hset(shop.store(0).keys.sales, 'shards', '3:1')
  assert.equal(await shop.store(0).keep('shards', 4, 60_000), 4, 'its lease has ended')
  assert.equal(await shop.store(0).keep('interval', 7_000, 60_000), 5_000)
})

test('items are read from the first one in steps', async () => {
  const sale = await shop.openSale({ userLimit: 30 })
  await shop.replies(
    1,
    sale,
    [2, 5, 11].map((index) => checkout(index, 'ann')),
  )
  const users = async (first: number, count: number, step?: number) =>
    (await shop.store(1).someItems(sale, first, count, step))?.items.map((item) => item?.user)
  assert.deepEqual(await users(2, 4, 3), ['ann', 'ann', undefined, 'ann'])
  assert.deepEqual(await users(2, 4), ['ann', undefined, undefined, 'ann'])
  assert.deepEqual(await users(59, 3, 3), [undefined, undefined, undefined])
})

test('every shard lists a sale by the same terms and expiry, and the log has them', async () => {
  const terms = shop.terms()
  const { expiresAtMs } = await shop.store(0).openSale(terms, 100)
  for (const shard of [1, 2]) {
    const opened = await shop.store(shard).openSale(terms, 999, expiresAtMs)
    assert.deepEqual([opened.terms, opened.expiresAtMs, opened.opened], [terms, expiresAtMs, true])
  }
  assert.equal(
    (await shop.store(0).openSale({ ...terms, shards: 5 }, 100)).terms.shards,
    3,
    'a listed sale stays as it is',
  )
  const fields = await Promise.all(
    [0, 1, 2].map((shard) => shop.admin.hget(shop.store(shard).keys.sales, String(terms.sale))),
  )
  assert.deepEqual(new Set(fields).size, 1)
  assert.match(fields[0] ?? '', new RegExp(`,${terms.holdMs},3,${expiresAtMs / 1_000}$`))
  for (const shard of [0, 1, 2]) {
    const { fields: logged } = await shop.lastEntry(shard)
    const { openedAtMs: _, ...opened } = decodeOpenedSale(logged.get('o') ?? assert.fail())
    assert.deepEqual(opened, terms)
  }
})

test("a sale's users expire with it, though only a right was lent or received", async () => {
  for (const act of [lend(1, userAtHome(0, shards)), lend(0, 'ann', [{ from: 1, epoch: 1_000, total: 1 }])]) {
    const sale = await shop.openSale()
    const { expiresAtMs } = await shop.store(0).snapshot(sale)
    await shop.replies(0, sale, [act])
    const prefix = `${shop.store(0).keys.prefix}sale:${sale}:`
    assert.deepEqual(await shop.admin.keys(`*sale:${sale}:*`), [`${prefix}users`])
    assert.equal((await shop.admin.expiretime(`${prefix}users`)) * 1_000, expiresAtMs)
  }
})

test('a lend cuts off what has expired, a checkout only where it needs the room', async () => {
  const sale = await shop.openSale({ userLimit: 6, holdMs: 1 })
  const ends = async () => (await shop.entryOf(0, sale, 'ann'))?.holdsExpireAtMs.length
  await shop.replies(0, sale, [checkout(1, 'ann')])
  await shop.replies(0, sale, [checkout(4, 'ann')])
  assert.equal(await ends(), 2)
  // Both, or the end of the first alone would make room for the loan.
  const { nowMs: bothMadeMs } = await shop.store(0).logState()
  const areOver = async () => (await shop.store(0).logState()).nowMs > bothMadeMs
  await eventually(areOver, { what: 'the end of the holds' })
  assert.deepEqual(await shop.names(0, sale, [lend(1, 'ann')]), ['lent'])
  assert.equal(await ends(), 0)
})

test('a call that names its keys decides on the sales whose keys it names, and on no other listed one', async () => {
  const [named, other] = [await shop.openSale(), await shop.openSale()]
  const gone = shop.pastSale
  const { prefix, sales, log, countsUnlisted, persister } = shop.store(0).keys
  const keysOf = (sale: number) =>
    ['items', 'users', 'counts', 'holds', 'lapsed', 'changes'].map((part) => `${prefix}sale:${sale}:${part}`)
  const call = async (keysNamed: readonly string[], listed: readonly number[]) => {
    const writer = new BatchWriter(intervalMs)
    for (const sale of [named, other, gone]) {
      writer.add(sale, '1', newNonce(), userAtHome(0, shards))
      writer.add(sale, '0', lendNonce, 'ann')
    }
    const keys = [...keysNamed, ...listed.flatMap(keysOf)]
    const { entry, columns } = writer.encode()
    const args = [functionName('decide'), keys.length, ...keys, entry, columns, shop.store(0).run]
    const [results] = (await shop.store(0).redis.callBuffer('FCALL', ...args)) as [Buffer]
    return readReplies(results).replies.map(({ reply }) => reply)
  }
  const base = [sales, log, countsUnlisted, persister]
  const before = await shop.store(0).snapshot(other)
  assert.deepEqual(await call(base, [named]), [
    'held',
    'not_lent',
    'not_listed',
    'not_listed',
    'sale_gone',
    'not_listed',
  ])
  const afterwards = await shop.store(0).snapshot(other)
  assert.deepEqual([afterwards.items, afterwards.users, afterwards.counts], [before.items, before.users, before.counts])
  assert.deepEqual((await call(base, [])).slice(0, 4), ['not_listed', 'not_listed', 'not_listed', 'not_listed'])
  assert.deepEqual((await call(base, [other, named])).slice(0, 4), ['held_again', 'not_lent', 'held', 'not_lent'])
  assert.deepEqual((await call([sales, log], [])).slice(0, 4), ['held_again', 'not_lent', 'held_again', 'not_lent'])
})

test('who asks for the rights of a sale that has none is told of none', async () => {
  const sale = await shop.openSale({ shards: 1 })
  await shop.replies(0, sale, [checkout(1, 'ann')])
  for (const asked of [sale, shop.saleToCome]) {
    const { users } = await shop.store(0).rights.with(asked, 1, { cursor: '0', count: 10 })
    assert.deepEqual(users, [])
    await shop.store(0).admit({ run: '-', epoch: 1, recordId: 'of a test' })
    await assertNothingChanges(shop.admin, async () => {
      assert.equal(await shop.store(0).rights.restore(asked, 1, [{ user: 'ann', lent: 1, got: 1 }]), false)
    })
    await shop.store(0).admit({ run: shop.store(0).run, epoch: 1, recordId: 'of a test' })
  }
})

test('a run that is admitted takes no restored rights, and one that is not decides nothing and tells its rights only when it is said so', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  await shop.replies(2, sale, [lend(1, 'ann'), lend(1, 'bob')])
  const unsound = { code: 'HC_RECORD_UNSOUND' }
  await assert.rejects(shop.store(2).rights.restore(sale, 1, [{ user: 'ann', lent: 1, got: 0 }]), unsound)
  const { epoch = 0 } = await shop.store(2).logState()
  await shop.store(2).admit({ run: '-', epoch, recordId: 'of a test' })
  await assert.rejects(decideBatch(shop.store(2), sale, { commands: [checkout(3, 'ann')] }), unsound)
  await assert.rejects(decideBatch(shop.store(2), sale, { commands: [lend(0, 'ann')] }), unsound)
  await assert.rejects(shop.store(2).rights.acceptFrom({ shard: 0, epoch: 1 }), unsound)
  await assert.rejects(shop.store(2).rights.with(sale, 1, { cursor: '0', count: 10 }), unsound)
  const { cursor, users } = await shop.store(2).rights.with(sale, 1, { cursor: '0', count: 10, isAdmitted: false })
  assert.equal(cursor, '0')
  assert.deepEqual(
    users.toSorted((a, b) => (a.user < b.user ? -1 : 1)),
    [
      { user: 'ann', lent: 1, got: 0 },
      { user: 'bob', lent: 1, got: 0 },
    ],
  )
  const told = [
    { user: 'ann', lent: 0, got: 2 },
    { user: 'new', lent: 3, got: 2 ** 31 },
  ]
  assert.equal(await shop.store(2).rights.restore(sale, 0, told), true)
  await shop.store(2).admit({
    run: shop.store(2).run,
    epoch,
    recordId: 'of a test',
    begins: { epoch: 4, after: (await shop.store(2).logState()).last },
    accepts: [{ shard: 1, epoch: 3 }],
  })
  assert.deepEqual((await shop.entryOf(2, sale, 'ann'))?.rights, [
    { peer: 0, lent: 0, got: 2 },
    { peer: 1, lent: 1, got: 0 },
  ])
  assert.deepEqual(await shop.entryOf(2, sale, 'new'), {
    purchases: 0,
    holdsExpireAtMs: [],
    rights: [{ peer: 0, lent: 3, got: 2 ** 31 }],
  })
  const [lent] = await shop.replies(2, sale, [lend(2, 'ann', [{ from: 1, epoch: 2, total: 9 }])])
  assert.deepEqual([lent?.epoch, lent?.got], [4, [2, 0, 0]])
})

test('every shard deals out the rights that core/rights.ts says, by the home that it says', async () => {
  for (const of of [2, 3, 5, 8])
    for (const userLimit of [1, 3, of + 1]) {
      const users = Array.from({ length: 12 }, (_, n) => `${of}@user.${n}:${'x'.repeat(n * 4)}`)
      const sale = await shop.openSale({ shards: of, userLimit, items: of * users.length * userLimit })
      for (let shard = 0; shard < of; shard++) {
        const items = Array.from({ length: users.length * userLimit }, (_, n) => shard + 1 + n * of)
        const found = await shop.names(
          shard,
          sale,
          items.map((index, n) => checkout(index, users[n % users.length] ?? '')),
        )
        for (const [n, user] of users.entries()) {
          const held = found.filter((reply, at) => at % users.length === n && reply === 'held').length
          assert.equal(held, baseRights({ limit: userLimit, shards: of, shard, home: homeShard(user, of) }))
        }
      }
    }
})
