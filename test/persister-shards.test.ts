// Goal: one persister process drains every shard, each exactly once and into rows of its own; what stops one stops no other.
// Method: a sale over three shards in one Redis, with rights that move, and what Redis knows of it against the rows.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { drainApartMsMax, drainStandbyMs } from '../core/limits.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import { decodeUserEntry } from '../core/redis/user-entry.ts'
import { shardNumbers, shardOf } from '../core/shards.ts'
import { drainSteps } from '../workers/drain-steps.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister, type TestPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { startPostgres, startRedis } from './helpers/services.ts'
import { openSpreadSale, type SpreadSale, sellSpread } from './helpers/spread-sale.ts'

const { connection: db } = await startPostgres({ after })
const shards = 3
const users = ['ann', 'bob', 'cid', 'dan', 'eve']

async function start(t: TestContext) {
  const { connection: redis } = await startRedis(t)
  const postgres = newRecord(t, db, { shards })
  const sale = await openSpreadSale(t, redis, { shards })
  return { redis, postgres, sale, services: { db, redis, shardCount: shards } }
}

/** What Redis has counted of a shard's decisions, and what it keeps of the rights of its users there. */
async function inRedis(sale: SpreadSale, shard: number) {
  const { counts, users: entries } = await sale.store(shard).snapshot(sale.sale)
  const rights: string[] = []
  for (const [user, bytes] of entries) {
    for (const { peer, lent, got } of decodeUserEntry(bytes, sale.terms.opensAtMs, shards)?.rights ?? []) {
      if (lent > 0) rights.push(`${user} lent ${lent} to ${peer}`)
      if (got > 0) rights.push(`${user} got ${got} from ${peer}`)
    }
  }
  return { outcomes: Object.fromEntries([...counts].toSorted(([a], [b]) => a - b)), rights: rights.toSorted() }
}

function inPostgres(postgres: Postgres, shard: number) {
  const outcomes = postgres.query<{ code: number; count: number }>(
    `select o.code, count(*)::int as count from attempts a join outcomes o on o.name = a.outcome
     where shard = $1 group by code order by code`,
    [shard],
  )
  const rights = postgres.query<{ what: string }>(
    `select user_id || case kind when 1 then ' lent ' else ' got ' end || max(total)
       || case kind when 1 then ' to ' else ' from ' end || peer as what
     from right_transfers where shard = $1 group by user_id, kind, peer`,
    [shard],
  )
  return {
    outcomes: Object.fromEntries(outcomes.map(({ code, count }) => [code, count])),
    rights: rights.map(({ what }) => what).toSorted(),
  }
}

/** Each decision and each right that moved is a row of its shard, and no place in a log has two. */
async function assertAllRecorded(postgres: Postgres, sale: SpreadSale): Promise<void> {
  for (const shard of shardNumbers(shards)) {
    const redis = await inRedis(sale, shard)
    assert.deepEqual(inPostgres(postgres, shard), redis, `shard ${shard}`)
    assert.ok(redis.rights.length > 0, 'the buyers must need rights of other shards')
    const store = sale.store(shard)
    const { last } = await store.logState()
    const offset = postgres.query('select epoch::int, seq::int from log_offsets where shard = $1', [shard])
    assert.deepEqual(offset, [last])
    assert.equal(await store.redis.xlen(store.keys.log), 0)
  }
  const doubled = `select from (
      select shard, epoch, batch, n from attempts group by 1, 2, 3, 4 having count(*) > 1
      union all
      select shard, epoch, batch, n from right_transfers group by 1, 2, 3, 4, peer, kind having count(*) > 1) places`
  assert.deepEqual(postgres.query(doubled), [])
  const above = 'select from purchases group by sale_id, user_id having count(*) > 3'
  assert.deepEqual(postgres.query(above), [])
}

test('one persister drains all shards, each into rows of its own', async (t) => {
  const { postgres, sale, services } = await start(t)
  const persister = await startPersister(t, services)
  await sellSpread(sale, users)
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  await assertAllRecorded(postgres, sale)
  assert.deepEqual(postgres.query('select items, shards from sales'), [{ items: 30, shards }])
  const told = persister.logLines().filter(({ msg }) => msg === 'the log is drained to its end')
  assert.deepEqual(new Set(told.map(({ shard }) => shard)), new Set(shardNumbers(shards)))
})

test('a place of a batch has its attempt and the rights that it brought, and only what was placed counts', async (t) => {
  const { postgres, sale, services } = await start(t)
  const persister = await startPersister(t, services)
  await sellSpread(sale, ['ann'])
  const nonce = 'AAAAAAAAAAAAAAAA'
  // Undecided, decided, undecided, decided.
  const indexes = ['1', '2', '3', '31'].map((index) => ({ index, nonce, user: 'zoe' }))
  const replies = await sale.decide(1, indexes)
  assert.deepEqual(
    replies.map(({ reply }) => reply),
    ['misplaced', 'held', 'misplaced', 'misplaced'],
  )
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assert.deepEqual(postgres.query(`select item_index::int as item, n, shard from attempts where user_id = 'zoe'`), [
    { item: 2, n: 0, shard: 1 },
  ])
  const brought = `select a.outcome, a.shard, t.kind from attempts a
    join right_transfers t using (shard, epoch, batch, n, user_id) where user_id = 'ann'`
  for (const row of postgres.query(brought)) assert.deepEqual(row, { ...row, outcome: 'held', kind: 2 })
  assert.ok(postgres.query(brought).length > 0)
})

test('a persister that dies at any step, of any shard, loses and doubles nothing', async (t) => {
  const { postgres, sale, services } = await start(t)
  for (const dieAt of drainSteps) {
    const persister = await startPersister(t, { ...services, dieAt })
    await sellSpread(sale, [`user-${dieAt}`])
    await persister.exited
  }
  assert.deepEqual(await (await startPersister(t, services)).drain(), { code: 0, signal: null })
  await assertAllRecorded(postgres, sale)
})

function leftBy(persister: TestPersister): string[] {
  return persister.messages.flatMap((message) => (message.type === 'left' ? [message.what] : []))
}

test('a fault in one log stops no other, and the end says whose it was', async (t) => {
  const { postgres, sale, services } = await start(t)
  const persister = await startPersister(t, services)
  const { redis, keys } = sale.store(1)
  await redis.xadd(keys.log, '1-*', 'b', 'not msgpack', 'r', 'neither')
  const faults = async () => {
    const states = await Promise.all(sale.stores.map((store) => store.logState()))
    return states.map(({ persister: said }) => said?.trouble?.fault ?? said?.state)
  }
  await eventually(async () => (await faults())[1] === 'HC_LOG_MALFORMED')
  await sellSpread(sale, users)
  const isDrained = (shard: number) => async () => (await sale.store(shard).logState()).backlogEntries === 0
  await eventually(isDrained(0))
  await eventually(isDrained(2))
  // What a persister says of itself may come after what it has done.
  const isSaid = async () => (await faults()).join() === 'active,HC_LOG_MALFORMED,active'
  await eventually(isSaid, { what: 'its word of each' })
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  const [only, ...others] = leftBy(persister)
  assert.match(
    only ?? '',
    /^the log of shard 1 is not drained to its end, because the log itself is at fault \(HC_LOG_M/,
  )
  assert.deepEqual(others, [])
  for (const shard of [0, 2]) assert.deepEqual(inPostgres(postgres, shard), await inRedis(sale, shard))
  assert.deepEqual(inPostgres(postgres, 1), { outcomes: {}, rights: [] })
})

test("another session's lock on what one shard needs stops no other", async (t) => {
  const { postgres, sale, services } = await start(t)
  const persister = await startPersister(t, services)
  postgres.query('begin')
  postgres.query('select from log_offsets where shard = 1 for update')
  await sellSpread(sale, users)
  const stateOf = async (shard: number) => (await sale.store(shard).logState()).persister?.state
  await eventually(async () => (await stateOf(1)) === 'locked')
  for (const shard of [0, 2])
    await eventually(async () => (await sale.store(shard).logState()).backlogEntries === 0, { what: `shard ${shard}` })
  for (const shard of [0, 2])
    await eventually(async () => (await stateOf(shard)) === 'active', { what: `its word of shard ${shard}` })
  postgres.query('commit')
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  await assertAllRecorded(postgres, sale)
})

test('a run of Redis that is not admitted stops the shard that it is named for, and no other', async (t) => {
  const { postgres, sale, services } = await start(t)
  postgres.query('update log_offsets set run = $1', [sale.store(0).run])
  postgres.query(`update log_offsets set run = 'of another' where shard = 2`)
  const persister = await startPersister(t, services)
  await sellSpread(sale, users)
  for (const shard of [0, 1])
    await eventually(async () => (await sale.store(shard).logState()).backlogEntries === 0, { what: `shard ${shard}` })
  assert.deepEqual(inPostgres(postgres, 2), { outcomes: {}, rights: [] })
  const beganMs = performance.now()
  const draining = persister.drain()
  await eventually(() => persister.logLines().filter(({ msg }) => msg.endsWith('drained to its end')).length === 2)
  postgres.query('update log_offsets set run = $1', [sale.store(0).run])
  const isInTime = performance.now() - beganMs < drainApartMsMax - drainStandbyMs
  const end = await draining
  // It waits for the admission no longer than that, and leaves the log to the next one.
  if (isInTime) assert.deepEqual(end, { code: 0, signal: null })
  else assert.deepEqual(await (await startPersister(t, services)).drain(), { code: 0, signal: null })
  await assertAllRecorded(postgres, sale)
})

test('a sale that another shard has opened over another number of shards stops that log, with both numbers', async (t) => {
  const { postgres, sale, services } = await start(t)
  const store = sale.store(2)
  const other = {
    ...sale.terms,
    sale: sale.sale + 1,
    opensAtMs: sale.terms.closesAtMs,
    closesAtMs: sale.terms.closesAtMs + 1,
  }
  await sale.store(0).openSale(other, 60)
  const persister = await startPersister(t, services)
  await eventually(() => postgres.query('select from sales').length === 2)
  await store.openSale({ ...other, shards: 2, items: 7 }, 60)
  const { trouble } = await eventually(async () => {
    const said = (await store.logState()).persister
    return said?.state === 'log_fault' ? said : undefined
  })
  const reason = `the log entry 1-2: sale ${other.sale} is opened over 2 shards, and is on record over 3`
  assert.deepEqual(trouble, { fault: 'HC_LOG_TERMS', reason })
  // The same number with other terms is a Redis that had lost the sale: the later ones are in force.
  await sale.store(1).openSale({ ...other, items: 7 }, 60)
  await eventually(() => postgres.query('select from sales where items = 7').length === 1)
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  assert.match(leftBy(persister)[0] ?? '', /log of shard 2 .*HC_LOG_TERMS/)
})

interface Metric {
  readonly name: string
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string>> }[]
}

test('the numbers of each shard are its own', async (t) => {
  const { sale, services } = await start(t)
  const persister = await startPersister(t, services)
  await sellSpread(sale, users)
  for (const store of sale.stores) await eventually(async () => (await store.logState()).backlogEntries === 0)
  const perShard = new Map<string, number>()
  for (const shard of shardNumbers(shards)) {
    const { outcomes } = await inRedis(sale, shard)
    const checkouts = Object.entries(outcomes).reduce((sum, [code, count]) => sum + (Number(code) < 20 ? count : 0), 0)
    perShard.set(String(shard), checkouts)
  }
  let id = 0
  const valuesOf = async (name: string) => {
    persister.send({ type: 'metrics', id: ++id })
    const isAnswer = (message: { type: string; id?: number }) => message.type === 'metrics' && message.id === id
    const { metrics } = (await eventually(() => persister.messages.find(isAnswer))) as unknown as {
      metrics: readonly Metric[]
    }
    return metrics.find((metric) => metric.name === name)?.values ?? []
  }
  await eventually(async () => {
    const rows = (await valuesOf('hotcakes_persisted_rows_total')).filter(
      ({ labels }) => labels['table'] === 'checkout_attempts',
    )
    return rows.length === shards && rows.every(({ labels, value }) => perShard.get(labels['shard'] ?? '') === value)
  })
  const active = (await valuesOf('hotcakes_persister_state')).filter(({ labels }) => labels['state'] === 'active')
  assert.deepEqual(
    new Map(active.map(({ labels, value }) => [labels['shard'], value])),
    new Map(shardNumbers(shards).map((shard) => [String(shard), 1])),
  )
  await eventually(async () => (await valuesOf('hotcakes_log_backlog_entries')).length === shards)
})

test('the shard of an attempt is that of its item, and the first one for what names no listed sale', async (t) => {
  const postgres = newRecord(t, db)
  const rows = postgres.query<{ item: number; shards: number; outcome: number; shard: number }>(`
    select item, shards, outcome, shard_of(item, shards::smallint, outcome::smallint) as shard
    from generate_series(0, 7) item, unnest(array[1, 2, 3]) shards, unnest(array[1, 8, 9, 10, 21, 25]) outcome`)
  assert.equal(rows.length, 144)
  for (const { item, shards: of, outcome, shard } of rows)
    assert.equal(shard, [9, 10, 25].includes(outcome) ? 0 : shardOf(item, of), `item ${item} of ${of}, ${outcome}`)
})
