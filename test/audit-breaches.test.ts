import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import type { Postgres } from '../core/postgres/connection.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { type AuditJson, breachesIn, runAudit, runAuditJson } from './helpers/audit.ts'
import { auditHere } from './helpers/audit-here.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { commandTimeoutMs, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { openShop, sellSome } from './helpers/shop.ts'

// Goal: the audit finds every kind of wrong that it says it looks for.
// Method: a small sale with nearly every outcome is decided by Redis and drained by the real persister. Then each test
// plants one breach in a fresh copy of that record, or in Redis, and the audit must spell it out. Most of them are audited in
// this process; the last tests run the program.

const { connection: db } = await startPostgres({ after })
const { connection: redis } = await startRedis({ after })
const env = servicesEnv({ db, redis })
const store = new SaleStore(redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
after(() => store.close())
await store.connect()

// Entries 1 to 8 of the log: the opening, then batches of 8, 3, 6, 1, 3, 2 and 3 attempts.
const shop = await openShop(store)
const { sale } = shop
await sellSome(shop)
{
  const [first = '', second = ''] = (await shop.decide([15, 16].map((item) => ({ item, user: 'gail' })))).nonces
  const { outcomes } = await shop.decide([
    { item: 15, nonce: first, isRelease: true },
    { item: 15, user: 'hal' },
    { item: 16, nonce: second, isRelease: true },
  ])
  assert.deepEqual(outcomes, ['released', 'held', 'released'])
}

const tables = ['sales', 'checkout_attempts', 'purchase_attempts', 'release_attempts', 'purchases', 'log_offsets']

const postgres = newRecord({ after }, db)
{
  const persister = await startPersister({ after }, { db, redis })
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  postgres.query('create schema original')
  for (const table of tables) postgres.query(`create table original.${table} as table ${table}`)
}

/** Puts the record back to what the persister wrote. */
function originalRecord(): Postgres {
  const copies = tables.map((table) => `insert into ${table} select * from original.${table}`)
  postgres.query(`truncate ${tables.join(', ')}; ${copies.join('; ')}`)
  return postgres
}

interface Planted {
  readonly name: string
  readonly plant: string
  /** What has to be put back besides the rows. */
  readonly undo?: string
  /** The checks that must find it, each with a part of one of its rows. */
  readonly finds: Readonly<Record<string, Readonly<Record<string, string | number>>>>
}

const inPostgres: readonly Planted[] = [
  {
    name: 'an item that is sold twice',
    plant: `alter table purchases drop constraint purchases_pkey;
      insert into purchases select sale_id, item_index, purchased_at, epoch, batch, n, 'eve', 'BBBBBBBBBBBBBBBB' from purchases where item_index = 1`,
    undo: 'truncate purchases; alter table purchases add primary key (sale_id, item_index)',
    finds: {
      sold_twice: { table: 'purchases', item: 1, times: 2 },
      attempt_unlike_purchase: { problem: 'a purchase, but not accepted', user: 'eve' },
      holder_differs: { problem: 'no hold has this code', buyer: 'eve' },
      buyer_differs: { user: 'eve', redis: 0, postgres: 1 },
    },
  },
  {
    name: 'a purchase attempt that was accepted twice',
    plant: `insert into purchase_attempts select decided_at, epoch, batch, sale_id, item_index, 3, 21, nonce, user_id
      from purchase_attempts where outcome = 21 and item_index = 2`,
    finds: {
      sold_twice: { table: 'purchase_attempts', item: 2, times: 2 },
      attempt_unlike_purchase: { problem: 'accepted, but no purchase', item: 2, user: 'ann', batch: 3, n: 3 },
      attempts_differ: { outcome: 'purchased', redis: 3, postgres: 4 },
    },
  },
  {
    name: 'a lost attempt',
    plant: 'delete from checkout_attempts where batch = 4 and n = 1',
    finds: {
      place_missing: { epoch: 1, batch: 4, n: 1 },
      attempts_differ: { outcome: 'item_held', redis: 1, postgres: 0 },
    },
  },
  {
    name: 'a lost last attempt of a batch',
    plant: 'delete from purchase_attempts where batch = 4 and n = 5',
    finds: { attempts_differ: { outcome: 'code_unknown', redis: 1, postgres: 0 } },
  },
  {
    name: 'a lost attempt that named no listed sale',
    plant: 'delete from checkout_attempts where batch = 4 and n = 3',
    finds: { place_missing: { n: 3 }, attempts_differ: { outcome: 'sale_unlisted', redis: 1, postgres: 0 } },
  },
  {
    name: 'a lost batch',
    plant: 'delete from checkout_attempts where batch = 5',
    finds: {
      log_entry_missing: { entries_without_attempts_from: '1-5', to: '1-5' },
      attempts_differ: { outcome: 'held', redis: 11, postgres: 10 },
    },
  },
  {
    name: 'an attempt that is recorded twice',
    plant: 'insert into checkout_attempts select * from checkout_attempts where batch = 4 and n = 0',
    finds: {
      place_doubled: { epoch: 1, batch: 4, n: 0, times: 2 },
      attempts_differ: { outcome: 'item_sold', redis: 1, postgres: 2 },
    },
  },
  {
    name: 'a sold item that is no purchase in Postgres',
    plant: 'delete from purchases where item_index = 5',
    finds: {
      not_recorded: { item: 5, user: 'bob' },
      attempt_unlike_purchase: { problem: 'accepted, but no purchase', item: 5 },
      buyer_differs: { user: 'bob', redis: 1, postgres: 0 },
    },
  },
  {
    name: 'a purchase that Redis knows nothing of',
    plant: `insert into purchases select sale_id, 8, purchased_at, epoch, batch, n, 'bob', 'CCCCCCCCCCCCCCCC' from purchases where item_index = 5`,
    finds: { not_sold: { item: 8, user: 'bob' }, holder_differs: { problem: 'no hold has this code', item: 8 } },
  },
  {
    name: 'another buyer',
    plant: `update purchases set user_id = 'eve' where item_index = 1`,
    finds: {
      purchase_differs: { item: 1, what: 'buyer', redis: 'ann', postgres: 'eve' },
      buyer_differs: { user: 'ann', redis: 2, postgres: 1 },
      holder_differs: { problem: 'the hold is of another user', buyer: 'eve', holder: 'ann' },
    },
  },
  {
    name: 'another buyer, in all of Postgres',
    plant: `update purchases set user_id = 'eve' where item_index = 1;
      update purchase_attempts set user_id = 'eve' where item_index = 1 and sale_id = ${sale};
      update checkout_attempts set user_id = 'eve' where item_index = 1 and outcome = 1`,
    finds: { purchase_differs: { item: 1, what: 'buyer', redis: 'ann', postgres: 'eve' } },
  },
  {
    name: 'another code',
    plant: `update purchases set nonce = 'DDDDDDDDDDDDDDDD' where item_index = 1`,
    finds: { purchase_differs: { item: 1, what: 'code', postgres: 'DDDDDDDDDDDDDDDD' } },
  },
  {
    name: 'another time',
    plant: `update purchases set purchased_at = purchased_at + interval '1 ms' where item_index = 1`,
    finds: { purchase_differs: { item: 1, what: 'time' }, attempt_unlike_purchase: { item: 1 } },
  },
  {
    name: 'a purchase after the end of its hold',
    plant: `update checkout_attempts set expires_at = decided_at where item_index = 1 and outcome = 1`,
    finds: { holder_differs: { problem: 'the hold had expired', item: 1, buyer: 'ann' } },
  },
  {
    name: 'a purchase after the release of its hold',
    plant: `insert into release_attempts select purchased_at, epoch, batch, sale_id, item_index, 3, 11, nonce, user_id
      from purchases where item_index = 1`,
    finds: {
      release_differs: { problem: 'it was purchased', item: 1, user: 'ann' },
      attempts_differ: { outcome: 'released', redis: 2, postgres: 3 },
    },
  },
  {
    name: 'a second release with one code',
    plant: `insert into release_attempts select decided_at, epoch, batch, sale_id, item_index, 3, outcome, nonce, user_id
      from release_attempts where item_index = 16`,
    finds: { release_differs: { problem: 'it was released before', item: 16, user: 'gail' } },
  },
  {
    name: "a release of somebody else's hold",
    plant: `update release_attempts set user_id = 'eve' where item_index = 15`,
    finds: { release_differs: { problem: 'the hold is of another user', item: 15, user: 'eve', holder: 'gail' } },
  },
  {
    name: 'a release that Redis knows nothing of',
    plant: `insert into release_attempts select decided_at, epoch, batch, sale_id, item_index, 2, 11, nonce, user_id
      from checkout_attempts where item_index = 9 and outcome = 1`,
    finds: { release_differs: { problem: 'Redis has not given the hold back', item: 9, user: 'dora' } },
  },
  {
    name: 'a lost release',
    plant: 'delete from release_attempts where item_index = 16',
    finds: {
      release_differs: { problem: 'the release is not on record', item: 16, user: 'gail' },
      attempts_differ: { outcome: 'released', redis: 2, postgres: 1 },
    },
  },
  {
    name: 'a buyer above the limit',
    plant: `insert into purchases select sale_id, g, purchased_at, epoch, batch, n, 'ann', 'EEEEEEEEEEEEEEE' || g - 10
      from purchases, generate_series(11, 12) g where item_index = 1`,
    finds: { over_limit: { where: 'Postgres', user: 'ann', purchases: 4, limit: 3, items: '1 2 11 12' } },
  },
  {
    name: 'other terms of the sale',
    plant: 'update sales set user_limit = 4',
    finds: { terms_differ: { term: 'userLimit', redis: 3, postgres: 4 } },
  },
  {
    name: 'a sale that Redis has forgotten',
    plant: `insert into sales select sale_id + 3, opens_at, closes_at, items, user_limit, hold_seconds from sales`,
    finds: {
      sale_forgotten: { sale: sale + 3 },
      log_entry_missing: { entries_without_attempts: 1, opened_sales_on_record: 2 },
    },
  },
  {
    name: 'a sale that is not on record',
    plant: 'delete from sales',
    finds: { terms_differ: { sale }, outside_sale: { sale, problem: 'no such sale on record' } },
  },
  {
    name: 'an item that the sale does not have',
    plant: 'update checkout_attempts set item_index = 21 where batch = 5',
    finds: { outside_sale: { item: 21, user: 'dora' } },
  },
  {
    name: 'an offset ahead of the log',
    plant: 'update log_offsets set seq = 11',
    finds: { offset_ahead: { offset: '1-11', log_ends_at: '1-8' }, log_entry_missing: { to: '1-11' } },
  },
  {
    name: 'an offset behind what is recorded, with a log that was trimmed',
    plant: 'update log_offsets set seq = 4',
    finds: { row_beyond_offset: { batch: 5, user: 'dora' }, log_gap: { from: '1-5', to: '1-8' } },
  },
]

for (const { name, plant, undo, finds } of inPostgres) {
  test(`in Postgres, ${name} is found`, async (t) => {
    originalRecord().query(plant)
    if (undo !== undefined) t.after(() => postgres.query(undo))
    assertFinds(await auditHere(env, { waitSeconds: 0 }), finds)
  })
}

function assertFinds(report: AuditJson & { status: number | null }, finds: Planted['finds']): void {
  assert.equal(report.verdict, 'breached')
  assert.equal(report.status, 1)
  const breaches = breachesIn(report)
  for (const [check, part] of Object.entries(finds)) {
    const rows = breaches[check] ?? []
    const isFound = rows.some((row) => Object.entries(part).every(([name, value]) => row[name] === value))
    assert.ok(isFound, `${check} ${JSON.stringify(part)} is not in ${JSON.stringify(breaches, undefined, 1)}`)
  }
}

/** Changes a field of one of the sale's hashes for the length of a test. */
async function changeField(t: TestContext, hash: string, field: string, change: (value: Buffer) => Buffer) {
  const key = `${store.keys.prefix}sale:${sale}:${hash}`
  const value = await store.redis.hgetBuffer(key, field)
  assert.ok(value)
  t.after(async () => {
    await store.redis.hset(key, field, value)
  })
  await store.redis.hset(key, field, change(Buffer.from(value)))
}

const inRedis: readonly {
  name: string
  hash: string
  field: string
  change: (value: Buffer) => Buffer
  finds: Planted['finds']
}[] = [
  {
    name: 'another buyer of an item',
    hash: 'items',
    field: '1',
    change: (entry) => Buffer.concat([entry.subarray(0, 21), Buffer.from('bob')]),
    finds: {
      purchase_differs: { item: 1, what: 'buyer', redis: 'bob', postgres: 'ann' },
      user_record_differs: { user: 'bob', what: 'purchases', in_user_record: 1, in_item_records: 2 },
      over_limit: { where: 'Redis', user: 'bob', purchases: 2, live_holds: 2, limit: 3 },
    },
  },
  {
    name: 'a sale of an item that was only held',
    hash: 'items',
    field: '3',
    change: (entry) => Buffer.concat([Buffer.from('s'), entry.subarray(1)]),
    finds: {
      not_recorded: { item: 3, user: 'ann' },
      sold_count_differs: { purchases_counted: 3, items_sold: 4 },
      user_record_differs: { user: 'ann', what: 'live holds' },
    },
  },
  {
    name: 'an entry of no known form',
    hash: 'items',
    field: '7',
    change: () => Buffer.from('x'),
    finds: { record_unreadable: { field: 'items 7' } },
  },
  {
    name: 'a forgotten purchase of a user',
    hash: 'users',
    field: 'ann',
    change: (entry) => Buffer.concat([Buffer.from([0, 1]), entry.subarray(2)]),
    finds: {
      user_record_differs: { user: 'ann', what: 'purchases', in_user_record: 1, in_item_records: 2 },
      buyer_differs: { user: 'ann', redis: 1, postgres: 2 },
    },
  },
  {
    name: 'a forgotten hold of a user',
    hash: 'users',
    field: 'dora',
    change: (entry) => entry.subarray(0, 2),
    finds: { user_record_differs: { user: 'dora', what: 'live holds', in_user_record: '' } },
  },
  {
    name: 'a release that has left its slot taken',
    hash: 'users',
    field: 'gail',
    change: (entry) => Buffer.concat([entry, Buffer.from([127, 0, 0, 0])]),
    finds: { user_record_differs: { user: 'gail', what: 'live holds', in_item_records: '' } },
  },
  {
    name: "a release that has freed somebody else's hold",
    hash: 'items',
    field: '15',
    change: (entry) => entry.fill(0, 17, 21),
    finds: {
      release_differs: { problem: 'the release is not on record', item: 15, user: 'hal' },
      user_record_differs: { user: 'hal', what: 'live holds', in_item_records: '' },
    },
  },
  {
    name: 'an attempt that was counted twice',
    hash: 'counts',
    field: '1',
    change: () => Buffer.from('9'),
    finds: { attempts_differ: { outcome: 'held', redis: 9, postgres: 11 } },
  },
]

for (const { name, hash, field, change, finds } of inRedis) {
  test(`in Redis, ${name} is found`, async (t) => {
    originalRecord()
    await changeField(t, hash, field, change)
    assertFinds(await auditHere(env), finds)
  })
}

test('more rows than are shown are counted', async () => {
  originalRecord().query(`insert into checkout_attempts
    select decided_at, epoch, batch, sale_id, 100 + g, null, n, outcome, user_id, nonce
    from checkout_attempts, generate_series(1, 30) g where batch = 5`)
  const report = await runAuditJson(env)
  const outside = report.checks.find(({ check }) => check === 'outside_sale')
  assert.equal(outside?.breaches, 30)
  assert.equal(outside.rows.length, 20)
  const { stdout } = await runAudit(env)
  assert.match(stdout, /BREACH {2}what was decided in a sale names .*: 30 breaches/)
  assert.match(stdout, /^BREACHED: /m)
})

test('one sale can be looked at by itself', async () => {
  originalRecord().query(`update purchases set user_id = 'eve' where item_index = 1`)
  const report = await runAuditJson(env, ['--sale', String(sale)])
  assertFinds(report, { purchase_differs: { item: 1, redis: 'ann', postgres: 'eve' } })
  const other = await runAudit(env, ['--sale', String(sale + 1)])
  assert.equal(other.status, 3)
  assert.match(other.stderr, new RegExp(`neither Redis nor Postgres has a sale ${sale + 1}`))
})
