// Goal: what people look up is quick on days that are over, and while a day lasts its rows don't pay for it.

import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { dayIndexDelayMs } from '../core/limits.ts'
import { createLog } from '../core/log.ts'
import { dayIndexLock } from '../core/postgres/advisory-locks.ts'
import { connectPostgres, type Postgres } from '../core/postgres/connection.ts'
import { DayIndexes } from '../server/primary/day-indexes.ts'
import { beginDatabaseStart } from './helpers/database-start.ts'
import { emptyDatabase, migrateNow, newRecord, openPostgres, schemaFolder } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { startPostgres } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })
const silent = createLog({ level: 'silent', process: 'test' })
const rowsADay = 20_000

function startIndexes(t: TestContext, lagSeconds = 0): DayIndexes {
  const indexes = new DayIndexes({ settings: db, log: silent, lagSeconds: () => Promise.resolve(lagSeconds) })
  t.after(() => indexes.close())
  return indexes
}

/** Attempts of two sales and many buyers on a day, as they come in: sale by sale. */
function fillDay(postgres: Postgres, day: string): void {
  postgres.query(`select ensure_attempts_partitions('${day}')`)
  postgres.query(`
    insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id)
    select '${day} 00:00+00'::timestamptz + i * interval '1 s', 1, i, 0, 100 + i * 2 / ${rowsADay}, 5, 6, 'user-' || i % 5000
    from generate_series(0, ${rowsADay} - 1) i`)
  postgres.query(`
    insert into purchase_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, nonce)
    select '${day} 00:00+00'::timestamptz + i * interval '1 s', 1, i, 1, 100 + i * 2 / ${rowsADay}, 5, 23, 'A'
    from generate_series(0, ${rowsADay} - 1) i`)
}

const dayAgo = (postgres: Postgres, days: number): string =>
  postgres.query<{ day: string }>(`select ((now() at time zone 'UTC')::date - ${days})::text as day`)[0]?.day ?? ''

/** Of each partition of checkouts, the newest first. */
function indexed(postgres: Postgres): { day: string; buyers: boolean; ranges: boolean }[] {
  return postgres.query(`select day::text, has_buyers as buyers, has_ranges as ranges from attempts_partitions
    where partition ~ '^checkout' order by day desc`)
}

function plan(postgres: Postgres, query: string): string {
  postgres.query('analyze checkout_attempts, purchase_attempts')
  return postgres
    .query<{ 'QUERY PLAN': string }>(`explain ${query}`)
    .map((row) => row['QUERY PLAN'])
    .join('\n')
}

test('each day that is over gets its indexes, in any order, and the day that is under way none', async (t) => {
  const postgres = newRecord(t, db)
  const [today, yesterday, before, old] = [0, 2, 3, 40].map((days) => dayAgo(postgres, days)) as [
    string,
    string,
    string,
    string,
  ]
  for (const day of [today, yesterday, before, old]) postgres.query(`select ensure_attempts_partitions('${day}')`)
  fillDay(postgres, yesterday)
  const lookUp = `select * from attempts where sale_id = 100 and user_id = 'user-7'`
  assert.doesNotMatch(plan(postgres, lookUp), /user_id_idx/)
  await startIndexes(t).round()
  assert.deepEqual(indexed(postgres), [
    { day: today, buyers: false, ranges: true },
    { day: yesterday, buyers: true, ranges: true },
    { day: before, buyers: true, ranges: true },
    { day: old, buyers: true, ranges: true },
  ])
  const suffix = yesterday.replaceAll('-', '')
  assert.match(plan(postgres, lookUp), new RegExp(`checkout_attempts_${suffix}_sale_id_user_id_idx`))
  assert.match(plan(postgres, lookUp), new RegExp(`purchase_attempts_${suffix}_sale_id_user_id_idx`))
  await startIndexes(t).round()
  const count = `select count(*)::int as count from pg_indexes where tablename = 'checkout_attempts_${suffix}'`
  assert.deepEqual(postgres.query(count), [{ count: 2 }], 'what is there is not made again')
})

test('while a day lasts, one sale of it is found without reading the others', (t) => {
  const postgres = newRecord(t, db)
  const day = dayAgo(postgres, 0)
  fillDay(postgres, day)
  const partition = `checkout_attempts_${day.replaceAll('-', '')}`
  postgres.query(`vacuum ${partition}`)
  assert.match(plan(postgres, `select count(*) from checkout_attempts where sale_id = 101`), /Bitmap Index Scan/)
  const times = `select count(*) from ${partition} where decided_at < '${day} 00:10+00'`
  assert.match(plan(postgres, times), /Bitmap Index Scan/)
})

test('nothing is indexed while rows of the day may come, or while another server is at it', async (t) => {
  const postgres = newRecord(t, db)
  const day = dayAgo(postgres, 2)
  postgres.query(`select ensure_attempts_partitions('${day}')`)
  const open = [{ day, buyers: false, ranges: true }]
  await startIndexes(t, dayIndexDelayMs / 1_000).round()
  assert.deepEqual(indexed(postgres), open, 'the log has older entries')
  postgres.query('begin')
  postgres.query('select pg_advisory_xact_lock($1, $2)', dayIndexLock)
  await startIndexes(t).round()
  postgres.query('commit')
  assert.deepEqual(indexed(postgres), open, 'another is at it')
  postgres.query('begin')
  postgres.query(`lock table checkout_attempts_${day.replaceAll('-', '')} in row exclusive mode`)
  await startIndexes(t).round()
  postgres.query('commit')
  assert.deepEqual(indexed(postgres), open, 'somebody writes there')
  await startIndexes(t).round()
  assert.deepEqual(indexed(postgres), [{ ...open[0], buyers: true }])
})

test('a person indexes the day that is under way, in either way, and the server leaves it at that', async (t) => {
  const postgres = newRecord(t, db)
  const [today, old] = [dayAgo(postgres, 0), dayAgo(postgres, 9)]
  for (const day of [today, old]) fillDay(postgres, day)
  const service = connectPostgres(db, { applicationName: 'hotcakes test' })
  t.after(() => service.close())
  assert.deepEqual(service.query(`select index_attempts('${today}') as made`), [{ made: 3 }])
  assert.deepEqual(service.query(`select index_attempts('${today}') as made`), [{ made: 0 }])
  assert.deepEqual(service.query(`select index_attempts('2020-01-01') as made`), [{ made: 0 }], 'a day without rows')
  for (const table of ['checkout_attempts', 'purchase_attempts', 'release_attempts'])
    postgres.query(`create index concurrently on ${table}_${old.replaceAll('-', '')} (sale_id, user_id)`)
  assert.deepEqual(service.query(`select index_attempts('${old}') as made`), [{ made: 0 }])
})

test('a record of the version before keeps its rows, and gets the indexes of its days again', async (t) => {
  emptyDatabase(t, db)
  const postgres = openPostgres(t, db)
  const folder = join(temporaryFolder(t), 'schema')
  cpSync(fileURLToPath(schemaFolder), folder, { recursive: true })
  for (const file of [
    '008-day-indexes.sql',
    '009-purchases-in-order.sql',
    '010-releases.sql',
    '011-retired-days.sql',
    'access/grants.sql',
  ])
    rmSync(join(folder, file))
  await migrateNow(db, pathToFileURL(`${folder}/`))
  const [today, old] = [dayAgo(postgres, 0), dayAgo(postgres, 2)]
  postgres.query('grant insert on checkout_attempts, purchase_attempts to hotcakes') // as its grants.sql did
  for (const day of [today, old]) fillDay(postgres, day)
  postgres.query(`insert into purchases values (100, 5, now(), 1, 1, 1, 'ann', 'A')`)
  const size = `select pg_total_relation_size('checkout_attempts_${today.replaceAll('-', '')}')::int as bytes`
  const [before] = postgres.query<{ bytes: number }>(size)

  const start = beginDatabaseStart(db)
  await start.done
  assert.deepEqual(start.said, Array(4).fill('schema file applied'))
  assert.deepEqual(postgres.query('select count(*)::int as count from attempts'), [{ count: 4 * rowsADay }])
  assert.deepEqual(indexed(postgres), [
    { day: today, buyers: false, ranges: true },
    { day: old, buyers: false, ranges: false },
  ])
  const [now] = postgres.query<{ bytes: number }>(size)
  assert.ok((now?.bytes ?? 0) < (before?.bytes ?? 0), 'a row takes less')
  const service = connectPostgres(db, { applicationName: 'hotcakes test' })
  t.after(() => service.close())
  service.query(`insert into checkout_attempts_${today.replaceAll('-', '')}
    (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id) values (now(), 1, 0, 0, 100, 5, 6, 'ann')`)
  await startIndexes(t).round()
  assert.deepEqual(indexed(postgres)[1], { day: old, buyers: true, ranges: true })
  assert.throws(
    () => postgres.query(`insert into purchases values (100, 5, now(), 1, 2, 1, 'bob', 'B')`),
    { sqlState: '23505' },
    'an item is sold once',
  )
})
