// Goal: a server that says ready can write its record, in whatever schema the tables are, and says what it waits for.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, beforeEach, type TestContext, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { partitionsLock, schemaLock } from '../core/postgres/advisory-locks.ts'
import { connectPostgres, type Postgres } from '../core/postgres/connection.ts'
import type { EmbeddedPostgres } from '../ops/embedded/facts.ts'
import { runAuditJson } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { beginDatabaseStart, type DatabaseStart } from './helpers/database-start.ts'
import { eventually } from './helpers/eventually.ts'
import { buyOne } from './helpers/items.ts'
import { migrateNow, newRecord, openPostgres, schemaFolder } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })
/** One that folds, splits and ends where it is not quoted. */
const schema = 'Own "shop", x'
const quoted = `"${schema.replaceAll('"', '""')}"`

beforeEach((t) => {
  const postgres = openPostgres(t as TestContext, db)
  postgres.query(`drop schema if exists public, ${quoted}, other cascade; create schema public`)
  postgres.query('alter role current_user reset search_path')
})

function asService(t: TestContext): Postgres {
  const postgres = connectPostgres(db, { applicationName: 'hotcakes test' })
  t.after(() => postgres.close())
  return postgres
}

/** The schema of a version before, which lacks these files. */
function oldFolder(t: TestContext, lacking: readonly string[]): URL {
  const folder = join(temporaryFolder(t), 'schema')
  cpSync(fileURLToPath(schemaFolder), folder, { recursive: true })
  for (const file of lacking) rmSync(join(folder, file))
  return pathToFileURL(`${folder}/`)
}

test('in a schema of its own the server sells and records, whatever the search_path of who serves, and the audit passes', async (t) => {
  const redis = await startRedis(t)
  const owner = openPostgres(t, db)
  owner.query(`create schema ${quoted}; alter role current_user set search_path = ${quoted}`)
  const env = {
    ...servicesEnv({ db, redis: redis.connection }),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_WORKERS: '1',
  }
  const cluster = await startCluster(t, { env })
  await buyOne(cluster, 'ann')
  assert.equal((await runAuditJson(env)).verdict, 'passed')
  assert.equal((await cluster.http.get('/users/ann/purchases')).status, 200)
  assert.equal((await cluster.stop()).code, 0)
  const counts = owner.query(`select (select count(*)::int from ${quoted}.purchases) as purchases,
    (select count(*)::int from ${quoted}.attempts) as attempts, to_regclass('public.purchases') as elsewhere`)
  assert.deepEqual(counts, [{ purchases: 1, attempts: 2, elsewhere: null }])
})

test('an installation that could record nothing, because its tables are not in public, is mended by the next start', async (t) => {
  openPostgres(t, db).query(`create schema ${quoted}; alter role current_user set search_path = ${quoted}`)
  const one: EmbeddedPostgres = {
    ...db,
    user: db.ownerUser,
    password: db.ownerPassword,
    ownerUser: '',
    ownerPassword: '',
  }
  const folder = oldFolder(t, [
    '006-own-schema.sql',
    '007-shards.sql',
    '008-day-indexes.sql',
    '009-purchases-in-order.sql',
    '010-releases.sql',
    '011-retired-days.sql',
    'access/grants.sql',
  ])
  const before = beginDatabaseStart(one, { folder })
  await assert.rejects(before.done, {
    code: 'HC_POSTGRES_REFUSED',
    sqlState: '42P01',
    message: /refuses the partitions of today to user hotcakes_owner: .*checkout_attempts.*moved to another schema/,
  })
  const mended = beginDatabaseStart(one)
  await mended.done
  assert.deepEqual(mended.said, Array(6).fill('schema file applied'))
})

test('a record of one log becomes one of shards: its rows are of the first, and its days get what they lack', async (t) => {
  const owner = openPostgres(t, db)
  await migrateNow(
    db,
    oldFolder(t, [
      '007-shards.sql',
      '008-day-indexes.sql',
      '009-purchases-in-order.sql',
      '010-releases.sql',
      '011-retired-days.sql',
      'access/grants.sql',
    ]),
  )
  owner.query(`select ensure_attempts_partitions('2026-02-01'::date);
    insert into sales values (7, '2026-02-01', '2026-02-02', 10, 3, 600);
    insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id)
      values ('2026-02-01 12:00+00', 1, 2, 0, 7, 5, 6, 'ann'), ('2026-02-01 12:00+00', 1, 2, 1, 6, 5, 9, 'ann')`)
  const start = beginDatabaseStart(db)
  assert.deepEqual(await start.done, { shardCount: 1 })
  assert.deepEqual(start.said, Array(5).fill('schema file applied'))
  assert.deepEqual(owner.query('select outcome, shard from attempts order by n'), [
    { outcome: 'item_sold', shard: 0 },
    { outcome: 'sale_gone', shard: 0 },
  ])
  const service = asService(t)
  service.query(`select ensure_attempts_partitions('2026-02-01'::date)`)
  const partitions = `select relname::text as name from pg_inherits join pg_class on oid = inhrelid
    where relkind = 'r' order by 1`
  assert.deepEqual(
    owner.query<{ name: string }>(partitions).map(({ name }) => name),
    [
      'checkout_attempts_20260201',
      'purchase_attempts_20260201',
      'release_attempts_20260201',
      'right_transfers_20260201',
    ],
  )
})

test('the start writes nothing, and says nothing when all is well', async (t) => {
  const postgres = newRecord(t, db)
  const start = beginDatabaseStart(db)
  await start.done
  assert.deepEqual(start.said, [])
  assert.deepEqual(
    postgres.query('select from attempts union all select from purchases union all select from sales'),
    [],
  )
})

test('a row that cannot be written ends the start, with its table and the reason', async (t) => {
  const postgres = newRecord(t, db)
  const rights = [
    ['insert on purchases', /a row of purchases .*permission denied for table purchases.*grants\.sql/],
    ['insert on checkout_attempts', /a row of checkout_attempts .*permission denied/],
    ['insert on purchase_attempts', /a row of purchase_attempts .*permission denied/],
    ['insert on release_attempts', /a row of release_attempts .*permission denied/],
    ['update on sales', /a row of sales .*permission denied/],
    ['insert on right_transfers', /a row of right_transfers .*permission denied/],
    ['insert on log_epochs', /a row of log_epochs .*permission denied/],
    ['update on log_offsets', /the rows of log_offsets .*permission denied/],
    ['execute on function ensure_attempts_partitions(date)', /the partitions of today .*permission denied/],
  ] as const
  // Without the owner at hand, who would grant it again.
  const alone = { ...db, ownerUser: '', ownerPassword: '' }
  for (const [right, message] of rights) {
    postgres.query(`revoke ${right} from hotcakes`)
    const expected = { code: 'HC_POSTGRES_REFUSED', sqlState: '42501', message }
    await assert.rejects(beginDatabaseStart(alone).done, expected, right)
    postgres.query(`grant ${right} to hotcakes`)
  }
  await beginDatabaseStart(alone).done

  postgres.query('alter table purchases add column color text not null')
  await assert.rejects(beginDatabaseStart(db).done, { code: 'HC_POSTGRES_REFUSED', message: /purchases.*color/ })
  postgres.query('alter table purchases drop column color; delete from log_offsets')
  await assert.rejects(beginDatabaseStart(db).done, { code: 'HC_SCHEMA', message: /no row for the shard 0/ })
})

test('a start adds the shards that are missing to the record, and none is ever taken away', async (t) => {
  const postgres = newRecord(t, db)
  postgres.query('update log_offsets set epoch = 3, seq = 7')
  const rows = () =>
    postgres.query<{ shard: number; epoch: string; seq: string; isSame: boolean }>(
      `select shard, epoch, seq, record = (select record from log_offsets where shard = 0) as "isSame"
       from log_offsets order by shard`,
    )
  const grown = beginDatabaseStart(db, { shards: 3 })
  assert.deepEqual(await grown.done, { shardCount: 3 })
  assert.deepEqual(grown.said, ['the record is of more shards from now on'])
  const all = [
    { shard: 0, epoch: '3', seq: '7', isSame: true },
    { shard: 1, epoch: '0', seq: '0', isSame: true },
    { shard: 2, epoch: '0', seq: '0', isSame: true },
  ]
  assert.deepEqual(rows(), all)
  for (const shards of [3, 1, 2]) {
    const again = beginDatabaseStart(db, { shards })
    assert.deepEqual([await again.done, again.said], [{ shardCount: 3 }, []])
  }
  assert.deepEqual(rows(), all)
})

test('shards that are missing and may not be added end the start, with the fix', async (t) => {
  const postgres = newRecord(t, db, { shards: 2 })
  const alone = { ...db, ownerUser: '', ownerPassword: '' }
  const message = /of 2 shards, APP_SHARDS is 4, and user hotcakes may add none.*DB_OWNER_USER and DB_OWNER_PASSWORD/
  await assert.rejects(beginDatabaseStart(alone, { shards: 4 }).done, { code: 'HC_SCHEMA', message })
  assert.deepEqual(await beginDatabaseStart(alone, { shards: 2 }).done, { shardCount: 2 })
  await beginDatabaseStart(db, { shards: 4 }).done
  assert.deepEqual(await beginDatabaseStart(alone, { shards: 4 }).done, { shardCount: 4 })

  postgres.query('delete from log_offsets where shard = 1')
  for (const shards of [1, 4])
    await assert.rejects(beginDatabaseStart(db, { shards }).done, {
      code: 'HC_SCHEMA',
      message: /no row for the shard 1/,
    })
  postgres.query('delete from log_offsets where shard > 1')
  postgres.query(`insert into log_epochs (shard, epoch, run) values (1, 1, 'of a test')`)
  await assert.rejects(beginDatabaseStart(db, { shards: 4 }).done, {
    code: 'HC_SCHEMA',
    message: /lost the row of the shard 1/,
  })
})

test('what Postgres may take a moment later is waited for: a full disk, a deadlock', async (t) => {
  const postgres = newRecord(t, db)
  for (const sqlState of ['53100', '40P01', '57014']) {
    postgres.query(`
      create or replace function refuse() returns trigger language plpgsql as $$
        begin raise exception 'not now' using errcode = '${sqlState}'; end $$;
      create or replace trigger refuse before insert on purchases execute function refuse()`)
    const expected = { code: 'HC_POSTGRES_UNAVAILABLE', message: /a row of purchases .*not now/ }
    await assert.rejects(beginDatabaseStart(db).done, expected, sqlState)
  }
  postgres.query('drop trigger refuse on purchases; drop function refuse()')
  await beginDatabaseStart(db).done
})

test('a database that is read only ends the start, and names the fix', async (t) => {
  newRecord(t, db)
  const service = asService(t)
  service.query('alter role current_user set default_transaction_read_only = on')
  try {
    const expected = { code: 'HC_POSTGRES_REFUSED', sqlState: '25006', message: /standby.*DB_HOST.*primary/ }
    await assert.rejects(beginDatabaseStart(db).done, expected)
  } finally {
    service.query('set transaction_read_only = off; alter role current_user reset default_transaction_read_only')
  }
})

test('roles that work in different schemas, or that could work in several, are refused', async (t) => {
  newRecord(t, db)
  const owner = openPostgres(t, db)
  owner.query('create schema other; alter role current_user set search_path = other')
  // The only tables that there are: the record is not begun anew, and what may be another shop's is not taken over.
  const elsewhere = { code: 'HC_SCHEMA', message: /there are tables in public, .*hotcakes_owner names another schema/ }
  await assert.rejects(beginDatabaseStart(db).done, elsewhere)
  // The role that serves may not set tables up, and works where they are.
  assert.equal(asService(t).query<{ schema: string }>('select current_schema() as schema')[0]?.schema, 'public')
  owner.query('revoke usage on schema public from hotcakes, public')
  const alone = { ...db, ownerUser: '', ownerPassword: '' }
  await assert.rejects(beginDatabaseStart(alone).done, { code: 'HC_SCHEMA', message: /user hotcakes may not/ })
  owner.query('grant usage on schema public to hotcakes')

  openPostgres(t, db).query('create table other.schema_migrations (like public.schema_migrations including all)')
  const refused = beginDatabaseStart(db).done
  await assert.rejects(refused, { code: 'HC_SCHEMA' })
  owner.query('grant usage on schema other to hotcakes; grant select on other.schema_migrations to hotcakes')
  owner.query('alter role current_user set search_path = nowhere')
  const ambiguous = { code: 'HC_SCHEMA', message: /there are tables in other, public.*hotcakes_owner/ }
  assert.throws(() => openPostgres(t, db), ambiguous)
  owner.query('alter role current_user reset search_path')
})

test('a start that waits for another one says for whom, and ends when it is stopped', async (t) => {
  const redis = await startRedis(t)
  const other = connectPostgres(db, { applicationName: 'somebody else' })
  t.after(() => other.close())
  const [holder] = other.query<{ pid: number }>('select pg_backend_pid() as pid, pg_advisory_lock($1)', [schemaLock])
  const who = new RegExp(
    `waiting to set up the tables: .*process ${holder?.pid} of Postgres \\(application .*somebody else`,
  )
  const env = servicesEnv({ db, redis: redis.connection })
  const cluster = await startCluster(t, { env, awaitReady: false })
  await eventually(() => cluster.logLines().some((line) => who.test(line)))
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  const left = "select 1 from pg_stat_activity where application_name = 'hotcakes schema'"
  await eventually(() => other.query(left).length === 0)

  other.query('select pg_advisory_unlock($1)', [schemaLock])
  await beginDatabaseStart(db).done
})

test('a start that waits for a server which begins a day says for whom, and then goes on', async (t) => {
  await beginDatabaseStart(db).done
  const other = openPostgres(t, db)
  const taken = 'select pg_backend_pid() as pid, pg_advisory_xact_lock($1, $2)'
  other.query('begin')
  const [holder] = other.query<{ pid: number }>(taken, partitionsLock)
  const start = beginDatabaseStart(db)
  const who = new RegExp(`waiting to set up the tables: .*process ${holder?.pid} of Postgres`)
  await eventually(() => start.said.some((sentence) => who.test(sentence)))
  other.query('rollback')
  await start.done
})

/** Two files, the second of which changes the table of the first. */
function alteringFolder(t: TestContext): URL {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, '001-a.sql'), 'create table a ()')
  return pathToFileURL(`${folder}/`)
}

test('a Postgres that takes connections and says nothing is waited for aloud, and not past a stop', async (t) => {
  const redis = await startRedis(t)
  const silent = createServer()
  t.after(() => silent.close())
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  const { port } = silent.address() as AddressInfo
  const env = servicesEnv({ db: { ...db, port }, redis: redis.connection })
  const cluster = await startCluster(t, { env, awaitReady: false })
  const said = (): boolean =>
    cluster.logLines().some((line) => line.includes(`waiting for Postgres at 127.0.0.1:${port}"`))
  await eventually(said)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test('a start that waits for a table says for whom, and a stop undoes what was begun', async (t) => {
  const folder = alteringFolder(t)
  await migrateNow(db, folder)
  const other = openPostgres(t, db)
  other.query('begin; lock table a in access share mode')
  const [holder] = other.query<{ pid: number }>('select pg_backend_pid() as pid')
  writeFileSync(new URL('002-b.sql', folder), 'create table half (); alter table a add column b int')
  const start: DatabaseStart = beginDatabaseStart(db, { folder })
  const who = new RegExp(
    `waiting to apply 002-b.sql: .*process ${holder?.pid} of Postgres \\(application "hotcakes test"`,
  )
  await eventually(() => start.said.some((sentence) => who.test(sentence)))
  start.abort()
  await assert.rejects(start.done, { message: 'stopping' })
  const waits = 'select 1 from pg_locks where not granted'
  await eventually(() => other.query(waits).length === 0)
  other.query('rollback')
  assert.deepEqual(other.query("select to_regclass('half') as half"), [{ half: null }])
  assert.deepEqual(await migrateNow(db, folder), ['002-b.sql'])
})

test('a lock on a table does not stop the start: that it is not proven is said, with who holds it', async (t) => {
  newRecord(t, db)
  const other = openPostgres(t, db)
  other.query('begin; lock table purchases in exclusive mode')
  const start = beginDatabaseStart(db)
  await start.done
  assert.match(
    start.said.join('\n'),
    /not proven: a lock is held by process \d+ of Postgres \(application "hotcakes test"/,
  )
  other.query('rollback')
})

test('a Postgres with too few connections for the workers is told of, with the numbers', async (t) => {
  const owner = newRecord(t, db)
  const start = async () => {
    const begun = beginDatabaseStart(db, { env: { APP_WORKERS: '256' } })
    await begun.done
    return begun.said
  }
  assert.deepEqual(await start(), [], 'the embedded one has enough for as many as there may be')
  owner.query(`alter database ${db.name} connection limit 20`)
  t.after(() => openPostgres({ after: () => undefined }, db).query(`alter database ${db.name} connection limit -1`))
  assert.match((await start()).join(), /takes 20 connections .*256 workers may need 782/)
})
