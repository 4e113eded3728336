import assert from 'node:assert/strict'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { outcomes } from '../core/outcomes.ts'
import { connectPostgres } from '../core/postgres/connection.ts'
import { migrate, readMigrations } from '../server/primary/schema.ts'
import { emptyDatabase, migrateNow, newRecord, openPostgres, schemaFolder } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { startPostgres } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })
const named = { applicationName: 'hotcakes test' }

test('a wrong password is a fault without the password', () => {
  const password = 'wrong-and-secret'
  assert.throws(
    () => connectPostgres({ ...db, password }, named),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'HC_POSTGRES_UNAVAILABLE')
      assert.match(error.message, /password authentication failed/)
      assert.ok(!`${error.message}${error.stack}${String(error.cause)}`.includes(password))
      return true
    },
  )
})

test('a password with quotes, spaces and backslashes is the password', (t) => {
  const postgres = openPostgres(t, db)
  const setPassword = (literal: string) => postgres.query(`alter role current_user password ${literal}`)
  setPassword(String.raw`E'it\'s "a\\ b\''`)
  try {
    openPostgres(t, { ...db, ownerPassword: String.raw`it's "a\ b'` }).query('select 1')
  } finally {
    setPassword(`'${db.ownerPassword}'`)
  }
})

test('nobody listening is unavailable', () => {
  assert.throws(() => connectPostgres({ ...db, port: 1 }, named), { code: 'HC_POSTGRES_UNAVAILABLE' })
})

test('a refused statement keeps its sqlstate, and the connection works on', (t) => {
  const postgres = openPostgres(t, db)
  assert.throws(() => postgres.query('select * from nowhere'), { code: 'HC_POSTGRES_REFUSED', sqlState: '42P01' })
  assert.throws(() => postgres.query('select 1 / $1::int', [0]), { code: 'HC_POSTGRES_REFUSED', sqlState: '22012' })
  assert.deepEqual(postgres.query('select 1 as one'), [{ one: 1 }])
})

test('a statement that takes too long is refused', (t) => {
  const postgres = connectPostgres(db, { ...named, statementTimeoutMs: 50 })
  t.after(() => postgres.close())
  assert.throws(() => postgres.query('select pg_sleep(60)'), { code: 'HC_POSTGRES_REFUSED', sqlState: '57014' })
})

test('a killed connection is unavailable from then on', (t) => {
  const [postgres, killer] = [openPostgres(t, db), openPostgres(t, db)]
  const [{ pid } = { pid: 0 }] = postgres.query<{ pid: number }>('select pg_backend_pid() as pid')
  assert.equal(postgres.isConnected, true)
  killer.query('select pg_terminate_backend($1)', [pid])
  assert.throws(() => postgres.query('select 1'), { code: 'HC_POSTGRES_UNAVAILABLE' })
  assert.equal(postgres.isConnected, false)
  assert.throws(() => postgres.query('select 1'), { code: 'HC_POSTGRES_UNAVAILABLE' })
  assert.throws(() => postgres.copyIn('copy t from stdin', []), { code: 'HC_POSTGRES_UNAVAILABLE' })
  assert.throws(() => postgres.transaction(() => 1), { code: 'HC_POSTGRES_UNAVAILABLE' })
})

test('values arrive as they were sent', (t) => {
  const postgres = openPostgres(t, db)
  const [row] = postgres.query('select $1::text as text, $2::bigint as big, $3::text as none, true as yes', [
    `it's "ä€😀" \\ 100%`,
    9_007_199_254_740_991,
    null,
  ])
  assert.deepEqual(row, { text: `it's "ä€😀" \\ 100%`, big: '9007199254740991', none: null, yes: true })
  assert.throws(() => postgres.query('select $1::text', ['a\0b']), { name: 'AssertionError' })
})

test('COPY takes its data however it is cut, and says how many rows it made', (t) => {
  const postgres = openPostgres(t, db)
  postgres.query('create temporary table copied (a integer primary key, b text)')
  const chunks = ['1\ton', 'e\n2\t', 't\\two\n3\t\\N\n'].map((text) => Buffer.from(text))
  assert.equal(postgres.copyIn('copy copied from stdin', chunks), 3)
  assert.deepEqual(postgres.query('select * from copied order by a'), [
    { a: 1, b: 'one' },
    { a: 2, b: 't\two' },
    { a: 3, b: null },
  ])
  assert.equal(postgres.copyIn('copy copied from stdin', []), 0)
})

test('a COPY that is refused names the reason, copies nothing and leaves the connection usable', (t) => {
  const postgres = openPostgres(t, db)
  postgres.query('create temporary table copied (a integer primary key)')
  const copy = (text: string) => postgres.copyIn('copy copied from stdin', [Buffer.from(text)])
  assert.throws(() => copy('1\n1\n'), { code: 'HC_POSTGRES_REFUSED', sqlState: '23505', message: /\(a\)=\(1\)/ })
  assert.throws(() => copy('x\n'), { code: 'HC_POSTGRES_REFUSED', sqlState: '22P02' })
  assert.throws(() => postgres.copyIn('copy nowhere from stdin', []), { sqlState: '42P01' })
  assert.throws(() => postgres.copyIn('select 1', []), { message: /not a COPY/ })
  assert.deepEqual(postgres.query('select * from copied'), [])
})

test('a transaction is all or nothing', (t) => {
  const postgres = openPostgres(t, db)
  postgres.query('create temporary table kept (a integer)')
  assert.equal(
    postgres.transaction(() => postgres.query('insert into kept values (1) returning a').length),
    1,
  )
  const fail = () => {
    postgres.query('insert into kept values (2)')
    throw new Error('changed my mind')
  }
  assert.throws(() => postgres.transaction(fail), { message: 'changed my mind' })
  assert.deepEqual(postgres.query('select a from kept'), [{ a: 1 }])
})

test('a transaction that hides a refusal inside does not pass for committed', (t) => {
  const postgres = openPostgres(t, db)
  const hide = () => assert.throws(() => postgres.query('select * from nowhere'))
  assert.throws(() => postgres.transaction(hide), { name: 'AssertionError' })
})

test('the schema is set up once', async (t) => {
  emptyDatabase(t, db)
  const told: string[] = []
  const { signal } = new AbortController()
  const options = { shards: 1, signal, onApplied: (name: string) => told.push(name), onWait: () => undefined }
  const { schema, applied } = await migrate(db, schemaFolder, options)
  assert.equal(schema, 'public')
  assert.ok(applied.length > 0)
  assert.deepEqual(told, applied)
  assert.deepEqual(await migrateNow(db, schemaFolder), [])
})

test('servers that start at once set the schema up once', async (t) => {
  emptyDatabase(t, db)
  const all = readMigrations(schemaFolder).map(({ name }) => name)
  const applied = await Promise.all([1, 2, 3].map(() => migrateNow(db, schemaFolder)))
  assert.deepEqual(applied.flat().toSorted(), all)
})

test('a file that fails leaves nothing of itself, and is applied when it is mended', async (t) => {
  emptyDatabase(t, db)
  const folder = temporaryFolder(t)
  const url = pathToFileURL(`${folder}/`)
  writeFileSync(join(folder, '001-good.sql'), 'create table good ()')
  writeFileSync(join(folder, '002-bad.sql'), 'create table half (); select * from nowhere')
  await assert.rejects(migrateNow(db, url), { code: 'HC_POSTGRES_REFUSED', sqlState: '42P01' })
  const postgres = openPostgres(t, db)
  assert.deepEqual(postgres.query("select to_regclass('good')::text as good, to_regclass('half')::text as half"), [
    { good: 'good', half: null },
  ])
  writeFileSync(join(folder, '002-bad.sql'), 'create table half ()')
  assert.deepEqual(await migrateNow(db, url), ['002-bad.sql'])
})

test('a schema file that was changed, or is unknown here, stops the start', async (t) => {
  newRecord(t, db)
  const folder = join(temporaryFolder(t), 'schema')
  cpSync(fileURLToPath(schemaFolder), folder, { recursive: true })
  const url = pathToFileURL(`${folder}/`)
  writeFileSync(join(folder, '001-record.sql'), 'select 1')
  await assert.rejects(migrateNow(db, url), { code: 'HC_SCHEMA', message: /001-record\.sql/ })

  openPostgres(t, db).query("insert into schema_migrations values (999, '999-later.sql', 'x')")
  await assert.rejects(migrateNow(db, schemaFolder), { code: 'HC_SCHEMA', message: /newer.*999-later/ })
})

test('the outcomes that people read are those that the code decides', (t) => {
  const rows = newRecord(t, db).query('select name, code, operation from outcomes order by code')
  const expected = Object.entries(outcomes).map(([name, { code, operation }]) => ({ name, code, operation }))
  assert.deepEqual(rows, expected)
})

test('a day gets its partitions once, with the indexes, and takes its rows only', (t) => {
  const postgres = newRecord(t, db)
  for (let n = 0; n < 2; n++) postgres.query("select ensure_attempts_partitions('2026-01-31')")
  const add = (time: string) =>
    postgres.query(
      `insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, user_id, outcome)
       values ($1, 1, 1, 0, 1, 1, 'ann', 6)`,
      [time],
    )
  add('2026-01-31T00:00:00Z')
  add('2026-01-31T23:59:59.999Z')
  assert.throws(() => add('2026-02-01T00:00:00Z'), { sqlState: '23514' })
  const indexes = postgres.query("select 1 from pg_indexes where tablename = 'checkout_attempts_20260131'")
  assert.equal(indexes.length, 1)
  assert.equal(postgres.query("select from attempts where outcome = 'item_sold'").length, 2)
})
