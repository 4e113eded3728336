// Goal: shards that wait to be admitted have no more purchases and holds of a buyer than rights when they go on, and no right
// comes from nowhere.
// Method: three shards in one real Redis, that are made to wait and to know of what they have no rights for.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { settleRights } from '../core/recovery/settle-rights.ts'
import { eventually } from './helpers/eventually.ts'
import { assertNothingChanges } from './helpers/redis-contents.ts'
import { startRedis } from './helpers/services.ts'
import { userAtHome } from './helpers/sharded-sale.ts'
import { checkout, lend, openShardedShop, purchase } from './helpers/sharded-shop.ts'

const redis = await startRedis({ after })
const shop = await openShardedShop({ after }, redis, 3)
const stores = [0, 1, 2].map((shard) => shop.store(shard))
const recordId = 'of a test'

/** Of those that are let go on everything else is as before. */
async function setAdmitted(shards: readonly number[], isAdmitted: boolean): Promise<void> {
  for (const shard of shards) {
    const { run } = shop.store(shard)
    await shop.store(shard).admit({ run: isAdmitted ? run : '-', epoch: 1, recordId })
  }
}

/** While only these shards wait. */
async function whileWaiting<Result>(shards: readonly number[], act: () => Promise<Result>): Promise<Result> {
  await setAdmitted(shards, false)
  try {
    return await act()
  } finally {
    await setAdmitted(shards, true)
  }
}

function settle(shards: readonly number[], sale: number): Promise<number> {
  return settleRights(
    shards.map((shard) => shop.store(shard)),
    sale,
  )
}

test('who is short is given what is free where others wait; a hold that is left over is cut off, the first to expire first', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  const [first, second] = [checkout(1, 'ann'), checkout(4, 'ann')]
  await shop.replies(0, sale, [first])
  const { holdsExpireAtMs: [firstEnd = 0] = [] } = (await shop.entryOf(0, sale, 'ann')) ?? {}
  await eventually(async () => (await shop.store(0).logState()).nowMs > firstEnd - 600_000, { what: 'another moment' })
  await shop.replies(0, sale, [second])
  await shop.replies(1, sale, [checkout(2, 'ann')])
  const left = await whileWaiting([0, 1], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 2, got: 0 }])
    return settle([0, 1], sale)
  })
  assert.equal(left, 0)
  const short = await shop.entryOf(0, sale, 'ann')
  assert.deepEqual(short?.rights, [
    { peer: 1, lent: 0, got: 1 },
    { peer: 2, lent: 2, got: 0 },
  ])
  assert.equal(short?.holdsExpireAtMs.length, 1)
  assert.ok((short?.holdsExpireAtMs[0] ?? 0) > firstEnd)
  assert.deepEqual((await shop.entryOf(1, sale, 'ann'))?.rights, [{ peer: 0, lent: 1, got: 0 }])
  assert.equal(await shop.entryOf(2, sale, 'ann'), undefined, 'who does not wait is not asked')
  const buy = ({ index, nonce }: typeof first) => purchase(index, nonce)
  assert.deepEqual(await shop.names(0, sale, [buy(first), buy(second)]), ['code_expired', 'purchased'])
  assert.deepEqual(await shop.names(1, sale, [checkout(5, 'ann')]), ['rights_elsewhere'])
})

test('of all holds where others wait the first to expire is cut off, and its right goes to who is short', async () => {
  const sale = await shop.openSale({ userLimit: 6 })
  const [first, second, last] = [checkout(2, 'ann'), checkout(5, 'ann'), checkout(1, 'ann')]
  await shop.replies(1, sale, [first])
  const { holdsExpireAtMs: [firstEnd = 0] = [] } = (await shop.entryOf(1, sale, 'ann')) ?? {}
  await eventually(async () => (await shop.store(0).logState()).nowMs > firstEnd - 600_000, { what: 'another moment' })
  await shop.replies(1, sale, [second])
  await shop.replies(0, sale, [last])
  const left = await whileWaiting([0, 1], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 2, got: 0 }])
    return settle([0, 1], sale)
  })
  assert.equal(left, 0)
  assert.deepEqual((await shop.entryOf(0, sale, 'ann'))?.rights, [
    { peer: 1, lent: 0, got: 1 },
    { peer: 2, lent: 2, got: 0 },
  ])
  const buy = ({ index, nonce }: typeof first) => purchase(index, nonce)
  assert.deepEqual(await shop.names(1, sale, [buy(first), buy(second)]), ['code_expired', 'purchased'])
  assert.deepEqual(await shop.names(0, sale, [buy(last)]), ['purchased'])
})

test('who has nothing but is short is given the right of a hold that is cut off elsewhere', async () => {
  const sale = await shop.openSale({ userLimit: 3 })
  const held = checkout(2, 'ann')
  await shop.replies(1, sale, [held])
  const left = await whileWaiting([0, 1], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 2, got: 0 }])
    return settle([0, 1], sale)
  })
  assert.equal(left, 0)
  assert.deepEqual((await shop.entryOf(1, sale, 'ann'))?.rights, [{ peer: 0, lent: 1, got: 0 }])
  assert.deepEqual(await shop.names(1, sale, [purchase(2, held.nonce)]), ['code_expired'])
})

test('a purchase is never taken back: it is told of', async () => {
  const sale = await shop.openSale({ userLimit: 3 })
  const held = checkout(1, 'ann')
  await shop.replies(0, sale, [held, purchase(1, held.nonce)])
  const left = await whileWaiting([0], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 1, got: 0 }])
    return settle([0], sale)
  })
  assert.equal(left, 1)
  assert.equal((await shop.entryOf(0, sale, 'ann'))?.purchases, 1)
  assert.deepEqual(await shop.names(0, sale, [checkout(4, 'ann')]), ['rights_elsewhere'])
})

test('what has expired takes up no right, neither where one is short nor where one gives', async () => {
  const sale = await shop.openSale({ userLimit: 3, holdMs: 1 })
  for (const shard of [0, 1]) {
    const held = checkout(shard + 1, 'ann')
    await shop.replies(shard, sale, [held])
    const hasEnded = async () => (await shop.store(shard).logState()).nowMs > (await endOf(shard))
    const endOf = async (of: number) => (await shop.entryOf(of, sale, 'ann'))?.holdsExpireAtMs[0] ?? 0
    await eventually(hasEnded, { what: 'the end of the hold' })
  }
  const left = await whileWaiting([0, 1], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 2, got: 0 }])
    return settle([0, 1], sale)
  })
  assert.equal(left, 0)
  const none = { purchases: 0, holdsExpireAtMs: [] }
  const rights = [
    { peer: 1, lent: 0, got: 1 },
    { peer: 2, lent: 2, got: 0 },
  ]
  assert.deepEqual(await shop.entryOf(0, sale, 'ann'), { ...none, rights })
  assert.deepEqual(await shop.entryOf(1, sale, 'ann'), { ...none, rights: [{ peer: 0, lent: 1, got: 0 }] })
})

test('all who are short are given theirs, however many they are; the keys that are new expire', async () => {
  const sale = await shop.openSale({ userLimit: 3 })
  const users = Array.from({ length: 1_200 }, (_, n) => `user-${n}`)
  const left = await whileWaiting([0, 1], async () => {
    await shop.store(0).rights.restore(
      sale,
      2,
      users.map((user) => ({ user, lent: 2, got: 0 })),
    )
    return settle([0, 1], sale)
  })
  assert.equal(left, 0)
  const { users: givers, expiresAtMs = 0 } = await shop.store(1).snapshot(sale)
  assert.equal(givers.size, users.length)
  for (const shard of [0, 1])
    assert.equal(
      (await shop.admin.expiretime(`${shop.store(shard).keys.prefix}sale:${sale}:users`)) * 1_000,
      expiresAtMs,
    )
  assert.deepEqual(await shop.names(1, sale, [checkout(2, users[7] ?? '')]), ['rights_elsewhere'])
})

test('where nobody is short, and of a sale that is not listed or of one shard, nothing is settled', async () => {
  const [sale, single] = [await shop.openSale(), await shop.openSale({ shards: 1 })]
  const ann = userAtHome(0, 3)
  await shop.replies(0, sale, [lend(1, ann)])
  await shop.replies(1, sale, [checkout(2, ann, [{ from: 0, epoch: 1, total: 1 }])])
  await shop.replies(0, single, [checkout(1, ann)])
  await whileWaiting([0, 1, 2], () =>
    assertNothingChanges(shop.admin, async () => {
      for (const each of [sale, single, shop.saleToCome]) assert.equal(await settleRights(stores, each), 0)
    }),
  )
})

test('rights of a shard that goes on already are not settled any more', async () => {
  const sale = await shop.openSale()
  const unsound = { code: 'HC_RECORD_UNSOUND' }
  await assert.rejects(settle([0], sale), unsound)
  await whileWaiting([0], async () => {
    await shop.store(0).rights.restore(sale, 2, [{ user: 'ann', lent: 2, got: 0 }])
    await assertNothingChanges(shop.admin, () => assert.rejects(settle([0, 1], sale), unsound))
  })
})
