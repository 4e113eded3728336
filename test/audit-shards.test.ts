// Goal: the audit of a sale over three shards finds what is wrong in one of them, and what they say of each other.
// Method: three shards in one Redis, whose buyers need rights of other shards; the real persister; then a breach is planted, and
// found by the program or, where a test has the name of the breach, by the audit in this process.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import type { Postgres } from '../core/postgres/connection.ts'
import { decodeUserEntry, encodeUserEntry, type UserEntry } from '../core/redis/user-entry.ts'
import { shardNumbers } from '../core/shards.ts'
import { type AuditJson, breachesIn, runAudit, runAuditJson } from './helpers/audit.ts'
import { auditHere } from './helpers/audit-here.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { openSpreadSale, sellSpread } from './helpers/spread-sale.ts'

const shards = 3
const { connection: db } = await startPostgres({ after })
const { connection: redis } = await startRedis({ after })
const env = servicesEnv({ db, redis })
// ann buys in shard 0, bob in 1, cid in 2, dan in 0: each begins with one right in each shard, and gets the others there.
const spread = await openSpreadSale({ after }, redis, { shards })
await sellSpread(spread, ['ann', 'bob', 'cid', 'dan'])
await spread.decide(1, [
  { index: '26', nonce: 'AAAAAAAAAAAAAAAA', user: 'yan' },
  { index: '29', nonce: 'BBBBBBBBBBBBBBBB', user: 'zoe' },
])
const { sale } = spread

const tables = [
  'sales',
  'checkout_attempts',
  'purchase_attempts',
  'purchases',
  'right_transfers',
  'log_epochs',
  'log_offsets',
]

const postgres = newRecord({ after }, db, { shards })
{
  const persister = await startPersister({ after }, { db, redis, shardCount: shards })
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  postgres.query('create schema original')
  for (const table of tables) postgres.query(`create table original.${table} as table ${table}`)
}

/** Puts the record back to what the persister wrote, also after a test that had a new one. */
function originalRecord(): Postgres {
  const copies = tables.map((table) => `insert into ${table} select * from original.${table}`)
  postgres.query(`truncate ${tables.join(', ')};
    select ensure_attempts_partitions(day::date) from (
      select distinct (decided_at at time zone 'UTC')::date as day from original.checkout_attempts) days;
    ${copies.join('; ')}`)
  return postgres
}

/** Changes a user's entry in one shard for the length of a test. */
async function changeEntry(
  t: TestContext,
  { shard, user }: { shard: number; user: string },
  change: (entry: UserEntry) => UserEntry,
): Promise<void> {
  const store = spread.store(shard)
  const { opensAtMs } = spread.terms
  const key = store.keys.users(sale)
  const bytes = await store.redis.hgetBuffer(key, user)
  assert.ok(bytes)
  const entry = decodeUserEntry(bytes, opensAtMs, shards)
  assert.ok(entry)
  t.after(async () => {
    await store.redis.hset(key, user, bytes)
  })
  await store.redis.hset(key, user, encodeUserEntry(change(entry), opensAtMs, shards))
}

type Finds = Readonly<Record<string, Readonly<Record<string, string | number>>>>

function assertFinds(report: AuditJson & { status: number | null }, finds: Finds): void {
  assert.equal(report.verdict, 'breached')
  const breaches = breachesIn(report)
  for (const [check, part] of Object.entries(finds)) {
    const rows = breaches[check] ?? []
    const isFound = rows.some((row) => Object.entries(part).every(([name, value]) => row[name] === value))
    assert.ok(isFound, `${check} ${JSON.stringify(part)} is not in ${JSON.stringify(breaches, undefined, 1)}`)
  }
}

test('a sale over three shards that is recorded as it was decided passes, and the report names them', async () => {
  originalRecord()
  const report = await runAuditJson(env)
  assert.deepEqual(breachesIn(report), {})
  assert.equal(report.verdict, 'passed')
  const [only, ...others] = report.sales
  assert.deepEqual(others, [])
  assert.equal(only?.state, 'compared')
  assert.deepEqual(only.redis, { sold: 8, held: 6, attempts: 26 })
  assert.deepEqual([only.postgres.purchases, only.postgres.attempts], [8, 26])
  assert.equal(only.postgres.outcomes['user_limit_reached'], 4)
  assert.equal(report.attempts, 26)
  const drained = report.logs?.flatMap(({ shard, offset, last }) => (offset === last ? shard : []))
  assert.deepEqual(drained, shardNumbers(shards))
  const names = new Set(report.checks.map(({ check }) => check))
  for (const check of ['over_rights', 'right_not_lent', 'rights_differ']) assert.ok(names.has(check), check)
  const { stdout } = await runAudit(env)
  for (const shard of shardNumbers(shards)) assert.match(stdout, new RegExp(`^log of shard ${shard}: `, 'm'))
})

test('where a sale has one shard its attempts are all of the first, whatever their items', async () => {
  originalRecord()
  const older = sale - 1
  postgres.query(`insert into sales
    select ${older}, opens_at - interval '1 hour', closes_at - interval '1 hour', items, user_limit, hold_seconds, 1 from sales`)
  const places = `select epoch, batch from checkout_attempts where sale_id = ${sale} and item_index = 2 limit 1`
  postgres.query(`insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id)
    select decided_at, 1, (select seq + 1 from log_offsets where shard = 0), 0, ${older}, 2, 4, 'zoe'
    from checkout_attempts where (epoch, batch) in (${places}) limit 1`)
  const { verdict, checks } = await runAuditJson(env, ['--wait-seconds', '0'])
  assert.equal(verdict, 'breached')
  const beyond = checks.find(({ check }) => check === 'row_beyond_offset')?.rows
  assert.deepEqual(
    beyond?.map(({ shard, user }) => [shard, user]),
    [[0, 'zoe']],
  )
})

test('a sale over three shards that goes on while it is audited passes', async (t) => {
  const fresh = await startRedis(t)
  newRecord(t, db, { shards })
  const freshEnv = servicesEnv({ db, redis: fresh.connection })
  const open = await openSpreadSale(t, fresh.connection, { shards, items: 3_000 })
  const persister = await startPersister(t, { db, redis: fresh.connection, shardCount: shards })
  const selling = { stop: false, buyers: 0 }
  const sold = (async () => {
    while (!selling.stop && selling.buyers < 700) {
      await sellSpread(open, [`buyer-${selling.buyers++}`])
      await delay(10)
    }
  })()
  for (let round = 0; round < 4; round++) {
    const report = await runAuditJson(freshEnv)
    assert.deepEqual(breachesIn(report), {})
    assert.equal(report.verdict, 'passed')
  }
  selling.stop = true
  await sold
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  const report = await runAuditJson(freshEnv)
  assert.equal(report.verdict, 'passed')
  assert.equal(report.attempts, selling.buyers * 6)
})

test('a log that is not drained is named with its shard, and the others are compared whole', async (t) => {
  const fresh = await startRedis(t)
  newRecord(t, db, { shards })
  const freshEnv = servicesEnv({ db, redis: fresh.connection })
  const open = await openSpreadSale(t, fresh.connection, { shards })
  await sellSpread(open, ['ann', 'bob', 'cid'])
  const persister = await startPersister(t, { db, redis: fresh.connection, shardCount: shards })
  await persister.drain()
  await open.decide(1, [{ index: '29', nonce: 'AAAAAAAAAAAAAAAA', user: 'zoe' }])
  const report = await runAuditJson(freshEnv, ['--wait-seconds', '0'])
  assert.deepEqual(breachesIn(report), {})
  assert.equal(report.verdict, 'incomplete')
  assert.equal(report.not_checked.length, 1)
  assert.match(
    report.not_checked[0] ?? '',
    /^Postgres has the log of shard 1 up to 1-\d+, Redis was read at 1-\d+; 1 log/,
  )
})

const inPostgres: readonly { name: string; plant: string; finds: Finds }[] = [
  {
    name: 'an attempt that is missing in one shard',
    plant: `delete from checkout_attempts where user_id = 'yan'`,
    finds: { attempts_differ: { shard: 1, outcome: 'held' }, place_missing: { shard: 1, n: 0 } },
  },
  {
    name: 'an entry of one shard that is missing',
    plant: `delete from checkout_attempts where user_id = 'cid' and outcome = 8`,
    finds: { log_entry_missing: { shard: 2 }, attempts_differ: { shard: 2, outcome: 'user_limit_reached' } },
  },
  {
    name: 'a row that the offset of its shard does not cover',
    plant: 'update log_offsets set seq = seq - 1 where shard = 2',
    finds: { row_beyond_offset: { shard: 2, table: 'right_transfers', user: 'dan' }, log_gap: { shard: 2 } },
  },
  {
    name: 'an attempt of a shard that there is not',
    plant: 'delete from log_offsets where shard = 2',
    finds: { row_beyond_offset: { shard: 2, user: 'cid' } },
  },
  {
    name: 'a right that was got and not lent',
    plant: `delete from right_transfers where user_id = 'ann' and kind = 1`,
    finds: {
      right_not_lent: { where: 'Postgres', user: 'ann', shard: 0, got: 1, lent: 0 },
      rights_differ: { user: 'ann', what: 'lent', redis: 1, postgres: 0 },
    },
  },
  {
    name: 'a right that was got and is not on record',
    plant: `delete from right_transfers where user_id = 'bob' and kind = 2`,
    finds: { rights_differ: { user: 'bob', shard: 1, what: 'got', redis: 1, postgres: 0 } },
  },
  {
    name: 'more rights on record than were lent',
    plant: `update right_transfers set total = 2 where user_id = 'cid' and kind = 1`,
    finds: { rights_differ: { user: 'cid', what: 'lent', redis: 1, postgres: 2 } },
  },
  {
    name: 'a right that is recorded twice',
    plant: `insert into right_transfers select * from right_transfers where user_id = 'dan' and kind = 2 limit 1`,
    finds: { place_doubled: { shard: 0, times: 2 } },
  },
  {
    name: 'a buyer above the limit, by purchases of several shards',
    plant: `update purchases set user_id = 'ann' where user_id in ('bob', 'cid')`,
    finds: { over_limit: { where: 'Postgres', user: 'ann', purchases: 6 } },
  },
  {
    name: 'a sale that is spread in another way',
    plant: 'update sales set shards = 2',
    finds: { terms_differ: { term: 'shards', redis: 3, postgres: 2 } },
  },
]

for (const { name, plant, finds } of inPostgres) {
  test(`in Postgres, ${name} is found`, async () => {
    originalRecord().query(plant)
    assertFinds(await auditHere(env, { waitSeconds: 0 }), finds)
  })
}

test('in Redis, a right that a lender has forgotten is found', async (t) => {
  originalRecord()
  const lender = await lenderOf('ann', 0)
  await changeEntry(t, { shard: lender, user: 'ann' }, (entry) => ({ ...entry, rights: [] }))
  assertFinds(await auditHere(env), {
    right_not_lent: { where: 'Redis', user: 'ann', shard: 0, got: 1, from: lender, lent: 0 },
    rights_differ: { user: 'ann', shard: lender, peer: 0, what: 'lent', redis: 0, postgres: 1 },
  })
})

test('in Redis, a buyer with more than rights in a shard is found', async (t) => {
  originalRecord()
  const lender = await lenderOf('bob', 1)
  await changeEntry(t, { shard: 1, user: 'bob' }, (entry) => ({ ...entry, rights: [] }))
  assertFinds(await auditHere(env), {
    over_rights: { user: 'bob', shard: 1, purchases: 2, live_holds: 1, rights: 1 },
    rights_differ: { user: 'bob', shard: 1, peer: lender, what: 'got', redis: 0, postgres: 1 },
  })
})

test('in Redis, a sale that one shard has forgotten is found', async (t) => {
  originalRecord()
  const { redis: connection, keys } = spread.store(2)
  const field = await connection.hget(keys.sales, String(sale))
  assert.ok(field !== null)
  t.after(async () => {
    await connection.hset(keys.sales, sale, field)
  })
  await connection.hdel(keys.sales, String(sale))
  assertFinds(await auditHere(env), { sale_forgotten: { sale, shard: 2 } })
})

/** Some shard that has lent a right of the user to the other one. */
async function lenderOf(user: string, borrower: number): Promise<number> {
  for (const shard of shardNumbers(shards)) {
    const store = spread.store(shard)
    const bytes = await store.redis.hgetBuffer(store.keys.users(sale), user)
    const entry = bytes === null ? undefined : decodeUserEntry(bytes, spread.terms.opensAtMs, shards)
    if (entry?.rights.some(({ peer, lent }) => peer === borrower && lent > 0)) return shard
  }
  throw new Error(`${user} has got nothing in shard ${borrower}`)
}
