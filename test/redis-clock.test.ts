// Goal: a clock of Redis that steps back, as at a failover, gives nobody more than the limit and changes nothing that is on
// record.
// Method: a real Redis whose functions read the time with a step added. At the end of each story the persister drains the
// log and the audit compares both sides.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { BatchWriter, DecisionReader, type SaleTerms } from '../core/decisions.ts'
import { NonceSource } from '../core/ids.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { commandTimeoutMs, openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const intervalMs = 3_600_000
const holdMs = 60_000

const [redis, { connection: db }] = await Promise.all([startRedis({ after }), startPostgres({ after })])

interface Decision {
  readonly outcome: string
  readonly nonce: string
  readonly atMs: number
  readonly purchasedAtMs: number
}

async function openShop(t: TestContext, terms: Partial<SaleTerms> = {}) {
  newRecord(t, db)
  const admin = await openRedis(t, redis.admin)
  await admin.flushall()
  const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  await store.claimEpoch(1)
  const clock = await stepRedisClock(admin)
  const { nowMs } = await store.logState()
  const sale = 1
  const opensAtMs = nowMs - 3_000_000
  const common = { sale, opensAtMs, closesAtMs: opensAtMs + 2 * intervalMs, items: 5, userLimit: 1, holdMs, shards: 1 }
  await store.openSale({ ...common, ...terms }, 86_400)

  const nonces = new NonceSource()
  const decide = async (item: number, user: string, nonce: string): Promise<Decision> => {
    const batch = new BatchWriter(intervalMs)
    batch.add(sale, String(item), nonce, user)
    const decision = new DecisionReader((await store.decide(batch.encode())).results)
    assert.ok(decision.next())
    const { outcome, purchasedAtMs, nowMs: atMs } = decision
    return { outcome, nonce: outcome === 'held_again' ? decision.nonce : nonce, atMs, purchasedAtMs }
  }
  return {
    store,
    clock,
    checkout: (item: number, user: string) => decide(item, user, nonces.next()),
    purchase: (item: number, { nonce }: Decision) => decide(item, '', nonce),
    assertAudited: async () => {
      assert.equal((await (await startPersister(t, { db, redis: redis.connection })).drain()).code, 0)
      const audit = await runAuditJson(servicesEnv({ redis: redis.connection, db }))
      assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
    },
  }
}

test('a hold that was cut off has expired for good: its buyer has bought no more than the limit', async (t) => {
  const { clock, checkout, purchase, assertAudited } = await openShop(t)
  const cutOff = await checkout(1, 'ann')
  await clock.set(holdMs + 500)
  const held = await checkout(2, 'ann')
  assert.equal(held.outcome, 'held')

  await clock.set(holdMs - 30_000)
  assert.equal((await checkout(1, 'bob')).outcome, 'item_held', 'by the clock the item is not free yet')
  assert.equal((await checkout(1, 'ann')).outcome, 'user_limit_reached', 'its code would be good for nothing')
  assert.equal((await purchase(1, cutOff)).outcome, 'code_expired')
  await assertAudited()
  assert.equal((await purchase(2, held)).outcome, 'purchased')
  assert.equal((await purchase(1, cutOff)).outcome, 'code_expired')
  await clock.set(holdMs + 500)
  assert.equal((await checkout(1, 'bob')).outcome, 'held')
  await assertAudited()
})

test('a buyer who has room again gets a new code for the item of a hold that was cut off', async (t) => {
  const { clock, checkout, purchase, assertAudited } = await openShop(t)
  const cutOff = await checkout(1, 'ann')
  await clock.set(holdMs + 500)
  await checkout(2, 'ann')
  await clock.set(2 * holdMs + 501)
  await checkout(3, 'ann')
  await clock.set(holdMs - 30_000)
  assert.equal((await checkout(1, 'ann')).outcome, 'user_limit_reached', 'item 3 takes the slot')
  await clock.set(3 * holdMs + 502)
  const again = await checkout(1, 'ann')
  assert.equal(again.outcome, 'held')
  assert.equal((await purchase(1, cutOff)).outcome, 'code_expired')
  assert.equal((await purchase(1, again)).outcome, 'purchased')
  await assertAudited()
})

test('a hold that was not cut off is alive again with the clock, and takes its slot', async (t) => {
  const { clock, checkout, purchase, assertAudited } = await openShop(t)
  const held = await checkout(1, 'ann')
  await clock.set(holdMs + 500)
  assert.equal((await purchase(1, held)).outcome, 'code_expired')
  await clock.set(holdMs - 30_000)
  assert.deepEqual(await checkout(1, 'ann').then(({ outcome, nonce }) => [outcome, nonce]), ['held_again', held.nonce])
  assert.equal((await checkout(2, 'ann')).outcome, 'user_limit_reached')
  assert.equal((await purchase(1, held)).outcome, 'purchased')
  await assertAudited()
})

test('a hold that was given after a step back frees its slot when it ends, also when an older one ends later', async (t) => {
  const { clock, checkout, assertAudited } = await openShop(t, { userLimit: 2 })
  await clock.set(30_000)
  await checkout(1, 'ann')
  await clock.set(0)
  await checkout(2, 'ann')
  assert.equal((await checkout(3, 'ann')).outcome, 'user_limit_reached')
  await clock.set(holdMs + 15_000)
  assert.equal((await checkout(1, 'bob')).outcome, 'item_held')
  assert.equal((await checkout(3, 'ann')).outcome, 'held')
  await assertAudited()
})

test("a clock behind the sale's opening sells nothing new, and a code that is out is redeemed at the opening", async (t) => {
  const { store, clock, checkout, purchase, assertAudited } = await openShop(t)
  const { terms } = await store.snapshot(1)
  const { opensAtMs = 0 } = terms ?? {}
  await clock.set(-2_990_000)
  const held = await checkout(1, 'ann')
  assert.equal(held.outcome, 'held')
  await clock.set(-3_060_000)
  assert.equal((await checkout(2, 'bob')).outcome, 'sale_not_open')
  const bought = await purchase(1, held)
  assert.deepEqual([bought.outcome, bought.purchasedAtMs], ['purchased', opensAtMs])
  const again = await purchase(1, held)
  assert.deepEqual([again.outcome, again.purchasedAtMs], ['purchased_again', opensAtMs])
  await clock.set(-2_900_000)
  assert.equal((await purchase(1, held)).purchasedAtMs, opensAtMs)
  await assertAudited()
})

test('a purchase keeps its time when the clock is behind it', async (t) => {
  const { store, clock, checkout, purchase, assertAudited } = await openShop(t)
  const held = await checkout(1, 'ann')
  const bought = await purchase(1, held)
  await clock.set(-60_000)
  const again = await purchase(1, held)
  assert.deepEqual([again.outcome, again.purchasedAtMs], ['purchased_again', bought.atMs])
  const state = await store.saleState(1)
  assert.deepEqual([state?.sold, state?.held], [1, 0])
  await assertAudited()
})
