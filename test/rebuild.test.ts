// Goal: a rebuild from Postgres leaves Redis as the decisions themselves had left it, byte for byte.
// Method: random commands in a sale whose holds end at once and in one whose holds last. All keys are read, Redis is
// emptied and rebuilt, all keys are read again. Redis' clock steps back and forth between the commands, so that holds are
// cut off that are alive again later. Left out is what has no effect any more and a rebuild leaves away: holds that have
// ended in the counts of holds; and the counts of commands that named no sale, which begin anew with each epoch.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type { Redis } from 'ioredis'
import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { outcomes } from '../core/outcomes.ts'
import { AsyncPostgres } from '../core/postgres/async-postgres.ts'
import { type Admission, admitShards } from '../core/recovery/admission.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { seed } from './helpers/seed.ts'
import { commandTimeoutMs, openRedis, startPostgres, startRedis } from './helpers/services.ts'
import { intervalMs, Shop } from './helpers/shop.ts'
import { type RedisClockSteps, stepRedisClock } from './helpers/stepped-redis-clock.ts'

const batches = 80
const msBetweenBatches = 10
const items = 12
/** An item that the random commands leave alone. */
const spareItem = items + 1
const ttlSeconds = 86_400

const { connection: db } = await startPostgres({ after })

async function startStore(t: TestContext) {
  const redis = await startRedis(t)
  const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  await store.claimEpoch(1)
  const database = new AsyncPostgres(db, { applicationName: 'hotcakes test', connectionsMax: 2, deadlineMs: 30_000 })
  t.after(() => database.close())
  const rebuild = async (): Promise<Admission | { kind: 'busy' }> => {
    const shards = [{ store, seen: undefined, may: 'rebuild' }] as const
    const admissions = await admitShards({ shards, database, ttlSeconds, say: () => undefined })
    return admissions === 'busy' ? { kind: 'busy' } : (admissions[0] as Admission)
  }
  return { redis, store, rebuild, admin: await openRedis(t, redis.admin) }
}

/** Two sales that are open. */
async function openSales(store: SaleStore): Promise<Shop[]> {
  const { nowMs } = await store.logState()
  const opensAtMs = nowMs - 1_000
  const terms = { opensAtMs, closesAtMs: nowMs + intervalMs, items: spareItem, userLimit: 3, shards: 1 }
  await store.openSale({ ...terms, sale: 1, holdMs: 25 }, ttlSeconds)
  await store.openSale({ ...terms, sale: 2, holdMs: 600_000 }, ttlSeconds)
  return [new Shop(store, 1), new Shop(store, 2)]
}

/** Redis' time is the test's: on a busy machine every short hold would be over before the next batch. */
async function sellAtRandom(
  shop: Shop,
  { store, random, clock }: { store: SaleStore; random: SeededRandom; clock: RedisClockSteps },
): Promise<void> {
  const offered: { item: number; nonce: string }[] = []
  const { nowMs } = await store.logState()
  for (let n = 0; n < batches; n++) {
    await clock.stand(nowMs + n * msBetweenBatches + random.between(-40, 40))
    const commands = Array.from({ length: random.between(1, 6) }, () => {
      if (offered.length > 0 && random.chance(0.4)) return { ...random.pick(offered), isRelease: random.chance(0.4) }
      return { item: random.between(0, items), user: `user-${random.below(6)}` }
    })
    const { nonces } = await shop.decide(commands)
    offered.push(...commands.map(({ item }, at) => ({ item, nonce: nonces[at] ?? '' })))
  }
}

interface Key {
  readonly expiresAt: number
  readonly content: readonly (readonly string[])[]
}

/** Every key of the sales and their list, in a form to compare. */
async function readSales(redis: Redis, nowMs: number) {
  const keys: Record<string, Key> = {}
  for (const name of (await redis.keys('*sale*')).toSorted()) {
    const fields =
      (await redis.type(name)) === 'set'
        ? (await redis.smembers(name)).map((member) => [member])
        : Object.entries(await redis.hgetallBuffer(name)).map(([field, value]) => [field, value.toString('latin1')])
    const content = fields
      .filter(([field = '']) => !['epoch', 'run', 'record', 'history'].includes(field))
      .map(([field = '', ...value]) => [field, ...value.map(String)])
      .filter(([field, value]) => !isEndedCount(name, { field, value, nowMs }))
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
    if (content.length > 0) keys[name] = { expiresAt: await redis.expiretime(name), content }
  }
  return keys
}

function isEndedCount(
  key: string,
  count: { field: string | undefined; value: string | undefined; nowMs: number },
): boolean {
  return key.endsWith(':holds') && (count.value === '0' || Number(count.field) < Math.floor(count.nowMs / 1_000))
}

test(`what is rebuilt is what was there (SEED=${seed})`, async (t) => {
  newRecord(t, db)
  const { redis, store, rebuild, admin } = await startStore(t)
  const shops = await openSales(store)
  const clock = await stepRedisClock(admin)
  const random = new SeededRandom(seed)
  for (const shop of shops) await sellAtRandom(shop, { store, random, clock })
  // One in a hundred seeds releases nothing by itself.
  const spare = await shops[1]?.decide([{ item: spareItem, user: 'ann' }])
  await shops[1]?.decide([{ item: spareItem, nonce: spare?.nonces[0] ?? '', isRelease: true }])
  const released = (await store.snapshot(2)).counts.get(outcomes.released.code) ?? 0
  assert.ok(released > 0, 'the workload must release holds')
  await shops[0]?.decide([{ item: 1, sale: 3, user: 'ann' }])
  assert.equal((await (await startPersister(t, { db, redis: redis.connection })).drain()).code, 0)
  // All short holds have ended in a second before this one.
  await clock.set(2_000)
  const { nowMs } = await store.logState()
  const before = await readSales(admin, nowMs)
  await admin.flushall()
  await clock.set(2_000)
  const recovery = await rebuild()
  assert.equal(recovery.kind, 'rebuilt')
  const rebuilt = await readSales(admin, nowMs)
  assert.deepEqual(rebuilt, before)
  for (const part of ['items', 'users', 'counts', 'lapsed'])
    assert.ok(rebuilt[`${store.keys.prefix}sale:1:${part}`], part)
  assert.ok(rebuilt[`${store.keys.prefix}sale:2:holds`], 'the workload must leave live holds')
  assert.deepEqual((await store.logState()).last, { epoch: 2, seq: 0 })
  await sellAtRandom(shops[1] as Shop, { store, random, clock }) // its records can be read
})

test('of two recoveries at once one rebuilds, and of two servers with one new record one begins it', async (t) => {
  const postgres = newRecord(t, db)
  const { redis, store, rebuild, admin } = await startStore(t)
  await admin.flushall()
  const begun = await Promise.all([rebuild(), rebuild()])
  assert.deepEqual(begun.map(({ kind }) => kind).toSorted(), [
    'begun',
    begun.some(({ kind }) => kind === 'busy') ? 'busy' : 'unneeded',
  ])

  const shops = await openSales(store)
  await shops[1]?.decide([{ item: 1, user: 'ann' }])
  await (await startPersister(t, { db, redis: redis.connection })).drain()
  await admin.flushall()
  const recoveries = await Promise.all([rebuild(), rebuild()])
  assert.equal(recoveries.filter(({ kind }) => kind === 'rebuilt').length, 1, JSON.stringify(recoveries))
  assert.deepEqual(postgres.query('select epoch::int, seq::int from log_offsets'), [{ epoch: 2, seq: 0 }])
  assert.equal((await rebuild()).kind, 'unneeded')
  assert.deepEqual((await shops[1]?.decide([{ item: 1, user: 'bob' }]))?.outcomes, ['item_held'])
})

test('a sale that is under way is rebuilt also by a clock of Redis that is ahead for a moment', async (t) => {
  newRecord(t, db)
  const { redis, store, rebuild, admin } = await startStore(t)
  const shops = await openSales(store)
  const { terms } = await store.snapshot(2)
  assert.ok(terms !== undefined)
  const { opensAtMs, closesAtMs, holdMs } = terms
  // Over by any clock.
  await store.openSale(
    { ...terms, sale: 3, opensAtMs: opensAtMs - intervalMs - holdMs, closesAtMs: opensAtMs - holdMs },
    ttlSeconds,
  )
  const shop = shops[1] as Shop
  const held = await shop.decide([{ item: 1, user: 'ann' }])
  await shop.decide([{ item: 1, nonce: held.nonces[0] ?? '' }])
  assert.equal((await (await startPersister(t, { db, redis: redis.connection })).drain()).code, 0)
  const clock = await stepRedisClock(admin)
  const rebuiltAt = async (aheadMs: number) => {
    await admin.flushall()
    await clock.set(aheadMs)
    const recovery = await rebuild()
    assert.ok(recovery.kind === 'rebuilt', JSON.stringify(recovery))
    return recovery.sales
  }
  const overMs = closesAtMs - opensAtMs + holdMs
  assert.deepEqual(await rebuiltAt(overMs + ttlSeconds * 1_000), [], 'Redis would drop them at once')
  assert.deepEqual(await rebuiltAt(overMs), [1, 2])
  assert.deepEqual((await shop.decide([{ item: 2, user: 'bob' }])).outcomes, ['sale_closed'])
  await clock.set(0)
  // As the next look at the clock does.
  await store.openSale(terms, ttlSeconds)
  assert.deepEqual((await shop.decide([{ item: 1, user: 'bob' }])).outcomes, ['item_sold'])
  assert.deepEqual((await shop.decide([{ item: 2, user: 'bob' }])).outcomes, ['held'])
})
