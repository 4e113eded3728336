// Goal: the audit passes on a record of which days are retired, and finds whatever of it doesn't fit.
// Method: two of three days are retired, with holds that were purchased on the other side of midnight; then each test plants one
// breach in what is kept, or in what stayed. Most of them are audited in this process; two tests run the program as well.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { dailyTables } from '../core/postgres/daily-tables.ts'
import { lockNotAvailable } from '../core/postgres/postgres-fault.ts'
import { AuditedRecord } from '../ops/tools/audit/postgres-side.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { auditHere } from './helpers/audit-here.ts'
import { startInstallation } from './helpers/installation.ts'
import { makePastDays } from './helpers/past-days.ts'
import { openPostgres } from './helpers/record.ts'
import { countsOfSales, runRetire, startPastShop } from './helpers/retire.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'
import { sellSpread } from './helpers/spread-sale.ts'

const { connection: db } = await startPostgres({ after })
const { postgres, past, redis } = await startPastShop({ after }, db)
const env = servicesEnv({ db, redis })
const [first = '', , third = ''] = past.days
assert.equal((await runRetire(env, ['--before', third, '--drop'])).status, 0)

const tables = ['retired_days', 'retired_batches', 'retired_counts', 'purchases', 'purchase_attempts', 'sales']
postgres.query('create schema original')
for (const table of tables) postgres.query(`create table original.${table} as table ${table}`)

function plantIn(t: TestContext, plant: string): void {
  t.after(() => {
    for (const table of tables)
      postgres.query(`delete from ${table}; insert into ${table} select * from original.${table}`)
  })
  postgres.query(plant)
}

const ofFirst = `where day = '${first}'`

interface Planted {
  readonly name: string
  readonly plant: string
  /** The checks that must find it, each with a part of one of its rows. */
  readonly finds: Readonly<Record<string, Readonly<Record<string, string | number | null | RegExp>>>>
}

const breaches: readonly Planted[] = [
  {
    name: 'a count of rejections that was changed',
    plant: `update retired_counts set rows = rows + 1 ${ofFirst} and outcome = 6`,
    finds: { retired_differs: { problem: 'the attempts of a day, its counts and its log entries agree', day: first } },
  },
  {
    name: 'a forgotten attempt that named no listed sale, everywhere in Postgres',
    plant: `update retired_counts set rows = rows - 1 ${ofFirst} and sale_id is null;
      update retired_days set attempts = attempts - 1 ${ofFirst};
      update retired_batches set attempts = attempts - 1 ${ofFirst} and first_batch = 2`,
    finds: { attempts_differ: { sale: null, outcome: 'sale_unlisted', redis: 6, postgres: 5 } },
  },
  {
    name: 'a lost count of purchases',
    plant: `delete from retired_counts ${ofFirst} and outcome = 21`,
    finds: { retired_differs: { problem: /^as many purchases of a day/, sale: 1, found: 5, kept: 0 } },
  },
  {
    name: 'another buyer of an item of a retired day',
    plant: `update purchases set user_id = 'eve' where sale_id = 1 and item_index = 1`,
    finds: { retired_differs: { problem: /^the purchases of a day are those/, day: first } },
  },
  {
    name: 'a lost purchase of a retired day',
    plant: 'delete from purchases where sale_id = 1 and item_index = 1',
    finds: { retired_differs: { problem: /^as many purchases of a day/, sale: 1, found: 4, kept: 5 } },
  },
  {
    name: 'a purchase of a retired day that nobody made',
    plant: `insert into purchases select sale_id, 20, purchased_at, epoch, batch, n, 'eve', 'E'
      from purchases where sale_id = 1 and item_index = 1`,
    finds: { retired_differs: { problem: /^as many purchases of a day/, sale: 1, found: 6, kept: 5 } },
  },
  {
    name: 'a purchase by a hold that no retired day had',
    plant: `insert into purchases select sale_id, 20, purchased_at, epoch, batch, 5, 'eve', 'E'
        from purchases where sale_id = 12 and item_index = 1;
      insert into purchase_attempts (decided_at, epoch, batch, n, sale_id, item_index, nonce, outcome, user_id)
        select purchased_at, epoch, batch, n, sale_id, item_index, nonce, 21, user_id
        from purchases where sale_id = 12 and item_index = 20`,
    finds: { holder_differs: { problem: '6 purchases have no hold but in retired days, which have 5 for them' } },
  },
  {
    name: 'lost log entries of a retired day',
    plant: 'delete from retired_batches where first_batch = 2',
    finds: {
      log_entry_missing: { entries_without_attempts_from: '1-1', to: '1-7' },
      retired_differs: { problem: 'the attempts of a day, its counts and its log entries agree' },
    },
  },
  {
    name: 'a log entry that is in two ranges',
    plant: 'update retired_batches set last_batch = 8 where first_batch = 2',
    finds: { place_doubled: { epoch: 1, batch: 8, what: 'a log entry of a retired day' } },
  },
  {
    name: 'a log entry that is retired and on record',
    plant: `insert into retired_batches select day, part, shard, 2, 2, 2, 0 from retired_batches where first_batch = 2`,
    finds: { place_doubled: { epoch: 2, batch: 2 } },
  },
  {
    name: 'retired log entries behind the offset',
    plant: `insert into retired_batches select day, part, shard, 2, 99, 99, 0 from retired_batches where first_batch = 2`,
    finds: { row_beyond_offset: { table: 'retired_batches', epoch: 2, batch: 99 } },
  },
  {
    name: 'a day of which nobody says that it is retired',
    plant: `delete from retired_days ${ofFirst}`,
    finds: {
      retired_differs: { problem: 'what is kept is of a retired day', day: first },
      attempt_unlike_purchase: { problem: 'a purchase, but not accepted', sale: 1, item: 1 },
      holder_differs: { problem: 'no hold has this code', sale: 1, item: 1 },
    },
  },
  {
    name: 'days that went without leaving anything',
    plant: 'delete from retired_days; delete from retired_batches; delete from retired_counts',
    finds: {
      log_entry_missing: {},
      attempts_differ: { sale: null, outcome: 'sale_unlisted', redis: 6, postgres: 2 },
      attempt_unlike_purchase: { sale: 1 },
    },
  },
  {
    name: 'a sale with kept counts that is not on record',
    plant: 'delete from sales where sale_id = 1',
    finds: { retired_differs: { problem: 'a sale with kept counts is on record', sale: 1 } },
  },
]

test('it passes, also for one sale', async () => {
  const reports = [await runAuditJson(env), await auditHere(env, { sale: 1 }), await auditHere(env, { sale: 12 })]
  for (const report of reports) {
    assert.equal(report.verdict, 'passed', JSON.stringify(report.checks))
    assert.equal(report.retired?.days, 2)
  }
})

for (const { name, plant, finds } of breaches) {
  test(`${name} is found`, async (t) => {
    plantIn(t, plant)
    const report = await auditHere(env)
    assert.deepEqual([report.verdict, report.status], ['breached', 1])
    const found = breachesIn(report)
    for (const [check, part] of Object.entries(finds)) {
      const isLike = (row: Readonly<Record<string, unknown>>) =>
        Object.entries(part).every(([key, value]) =>
          value instanceof RegExp ? value.test(String(row[key])) : row[key] === value,
        )
      assert.ok((found[check] ?? []).some(isLike), `${check} is not in ${JSON.stringify(found, undefined, 1)}`)
    }
  })
}

test('while it compares, no day can go: what it has seen and what it will see are one state', (t) => {
  const [own, other] = [openPostgres(t, db), openPostgres(t, db)]
  other.query(`set lock_timeout = '50ms'`)
  new AuditedRecord(own).inOneMoment(() => {
    for (const table of dailyTables) {
      const lock = `begin; lock table only ${table} in access exclusive mode`
      assert.throws(() => other.query(lock), { sqlState: lockNotAvailable })
      other.query('rollback')
    }
  })
})

test('of a sale over three shards the same is kept, and rights that were lent before midnight need no row any more', async (t) => {
  const shop = await startInstallation(t, db, 3)
  const old = makePastDays(shop.postgres, { shards: 3 })
  const admitted = await shop.admit()
  assert.ok(admitted !== 'busy')
  const sale = await shop.open()
  await sellSpread(sale, ['ann', 'bob', 'cid'])
  await shop.drain()
  const settings = servicesEnv({ db, redis: shop.redis.connection })
  const before = await auditHere(settings)
  assert.equal(before.verdict, 'passed', JSON.stringify(before.checks))
  const counts = countsOfSales(shop.postgres, old.sales)
  for (const end of [old.days[1] ?? '', old.end]) {
    const { status, stderr } = await runRetire(settings, ['--before', end, '--drop'])
    assert.equal(status, 0, stderr)
    const report = await auditHere(settings)
    assert.equal(report.verdict, 'passed', JSON.stringify(report.checks))
    assert.deepEqual([report.attempts, report.sales], [before.attempts, before.sales])
    assert.deepEqual(countsOfSales(shop.postgres, old.sales), counts)
  }
  shop.postgres.query('update retired_days set transfers = transfers + 1 where part = 1')
  const breached = breachesIn(await runAuditJson(settings))['retired_differs'] ?? []
  assert.ok(breached.some(({ problem }) => problem === 'the moved rights of a day and its counts agree'))
})
