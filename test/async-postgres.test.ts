import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Statement } from '../core/postgres/async-connection.ts'
import { AsyncPostgres, type AsyncPostgresOptions } from '../core/postgres/async-postgres.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import type { PostgresSettings } from '../core/postgres/conninfo.ts'
import { asOwner } from '../core/postgres/owner.ts'
import { eventually } from './helpers/eventually.ts'
import { openPostgres } from './helpers/record.ts'
import { startPostgres } from './helpers/services.ts'
import { standStill } from './helpers/stand-still.ts'

const service = await startPostgres({ after })
const db = service.connection
const one: Statement = { name: 'one', text: 'select $1::int as one' }
const sleep: Statement = { text: 'select pg_sleep(60)' }
const unavailable = { code: 'HC_POSTGRES_UNAVAILABLE' }

function openAsync(t: TestContext, options: Partial<AsyncPostgresOptions> = {}, settings: PostgresSettings = db) {
  // A busy machine may take long over what no test here waits for.
  const postgres = new AsyncPostgres(settings, { applicationName: t.name, deadlineMs: 30_000, ...options })
  t.after(() => postgres.close())
  return postgres
}

/** Process ids of the connections that a test has open, as Postgres sees them. */
function backends(t: TestContext, watcher: Postgres = openPostgres(t, db)): number[] {
  const text = 'select pid from pg_stat_activity where application_name = left($1, 63)'
  return watcher.query<{ pid: number }>(text, [t.name]).map(({ pid }) => pid)
}

/** The process id of a test's connection on which `sleep` runs, once it does. */
async function sleeper(t: TestContext, watcher: Postgres): Promise<number> {
  const text = "select pid from pg_stat_activity where application_name = left($1, 63) and wait_event = 'PgSleep'"
  return await eventually(() => watcher.query<{ pid: number }>(text, [t.name])[0]?.pid)
}

/** On its one connection Postgres ends a statement when the client has gone, within 50 ms, and never before. */
async function leaveEndToClient(postgres: AsyncPostgres): Promise<void> {
  const never = "set_config('statement_timeout', '0', false)"
  const gone = "set_config('client_connection_check_interval', '50', false)"
  await eventually(() => postgres.query({ text: `select ${never}, ${gone}` }))
}

/** Runs `work` while Postgres with all its processes is stopped. */
async function whileStopped(pids: readonly number[], work: () => Promise<void>): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  try {
    await work()
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
}

test('rows and values are those of the synchronous adapter', async (t) => {
  const postgres = openAsync(t)
  const text = 'select $1::text as text, $2::bigint as big, $3::text as none, true as yes, to_timestamp(0) as at'
  const parameters = [`it's "ä€😀" \\ 100%`, 9_007_199_254_740_991, null]
  const expected = openPostgres(t, db).query(text, parameters)
  assert.deepEqual(await postgres.query({ text }, parameters), expected)
  assert.deepEqual(await postgres.query({ name: 'values', text }, parameters), expected)
  await assert.rejects(postgres.query({ text: 'select $1::text' }, ['a\0b']), { name: 'AssertionError' })
})

test('a statement with a name is prepared once on each connection', async (t) => {
  const postgres = openAsync(t, { connectionsMax: 1 })
  for (let n = 0; n < 3; n++) assert.deepEqual(await postgres.query(one, [n]), [{ one: n }])
  const prepared = { text: "select name from pg_prepared_statements where name <> ''" }
  assert.deepEqual(await postgres.query(prepared), [{ name: 'one' }])
})

test('statements at once share the connections, each with its own rows', async (t) => {
  const postgres = openAsync(t)
  const numbers = Array.from({ length: 50 }, (_, n) => n)
  const rows = await Promise.all(numbers.map((n) => postgres.query(one, [n])))
  assert.deepEqual(
    rows,
    numbers.map((n) => [{ one: n }]),
  )
  assert.ok(backends(t).length <= 2)
})

test('more than may wait are refused at once', async (t) => {
  const postgres = openAsync(t, { waitingMax: 2, connectionsMax: 1 })
  const first = [postgres.query(one, [1]), postgres.query(one, [2])]
  await assert.rejects(postgres.query(one, [3]), { code: 'HC_POSTGRES_BUSY' })
  assert.equal((await Promise.all(first)).length, 2)
})

test('a refused statement keeps its sqlstate, and the connection works on', async (t) => {
  const postgres = openAsync(t, { connectionsMax: 1 })
  await assert.rejects(postgres.query({ name: 'bad', text: 'select * from nowhere' }), {
    code: 'HC_POSTGRES_REFUSED',
    sqlState: '42P01',
  })
  const [pid] = backends(t)
  await assert.rejects(postgres.query({ text: 'select 1 / $1::int' }, [0]), { sqlState: '22012' })
  assert.deepEqual(await postgres.query(one, [1]), [{ one: 1 }])
  assert.deepEqual(backends(t), [pid])
})

test('a transaction is all or nothing, and has its connection alone', async (t) => {
  const postgres = openAsync(t, {}, asOwner(db))
  await postgres.query({ text: 'create table counted (n integer)' })
  await postgres.query({ text: 'insert into counted values (0)' })
  const increment = () =>
    postgres.transaction(async (connection) => {
      const [row] = await connection.query<{ n: number }>({ text: 'select n from counted for update' })
      await connection.query({ text: 'update counted set n = $1' }, [(row?.n ?? 0) + 1])
    })
  await Promise.all(Array.from({ length: 20 }, increment))
  const changeMind = postgres.transaction(async (connection) => {
    await connection.query({ text: 'update counted set n = -1' })
    throw new Error('changed my mind')
  })
  await assert.rejects(changeMind, { message: 'changed my mind' })
  assert.deepEqual(await postgres.query({ text: 'select n from counted' }), [{ n: 20 }])
})

test('a transaction that hides a refusal inside does not pass for committed', async (t) => {
  const postgres = openAsync(t)
  const hide = postgres.transaction((connection) => assert.rejects(connection.query({ text: 'select * from nowhere' })))
  await assert.rejects(hide, { name: 'AssertionError' })
})

test('a statement past its deadline is given up with its connection, and the next one gets another', async (t) => {
  const postgres = openAsync(t, { deadlineMs: 300, connectionsMax: 1 })
  await assert.rejects(Promise.all([postgres.query(sleep), postgres.query(one, [1])]), unavailable)
  assert.deepEqual(await eventually(() => postgres.query(one, [1])), [{ one: 1 }])
})

test('after a standstill an answer that has come is taken, and without one it is Postgres that was late', async (t) => {
  const deadlineMs = 2_000
  const postgres = openAsync(t, { deadlineMs })
  await eventually(() => postgres.query(one, [1]))
  const watcher = openPostgres(t, db)
  const quick = postgres.query({ text: "select 'came' as it from pg_sleep(0.5)" })
  await sleeper(t, watcher)
  await nextTurn() // what comes after it begins with the timers
  standStill(deadlineMs)
  assert.deepEqual(await quick, [{ it: 'came' }])
  const slow = postgres.query(sleep)
  await sleeper(t, watcher)
  await nextTurn() // what comes after it begins with the timers
  standStill(deadlineMs)
  await assert.rejects(slow, unavailable)
})

test('a Postgres that hangs holds nobody longer than the deadline, and is used again when it goes on', async (t) => {
  const postgres = openAsync(t, { deadlineMs: 500 })
  await eventually(() => postgres.query(one, [1]))
  await whileStopped([service.pid(), ...backends(t)], async () => {
    // The first finds the open connection, the second has to make one: libpq waits for that longer than we do.
    await assert.rejects(postgres.query(one, [2]), unavailable)
    await assert.rejects(postgres.query(one, [3]), unavailable)
  })
  assert.deepEqual(await eventually(() => postgres.query(one, [4])), [{ one: 4 }])
})

test('connections that the server closed are replaced', async (t) => {
  // A statement that meets the end of the session is answered by nobody.
  const postgres = openAsync(t, { deadlineMs: 5_000 })
  await Promise.all([postgres.query(one, [1]), postgres.query(one, [2])])
  const killer = openPostgres(t, db)
  for (const pid of backends(t)) killer.query('select pg_terminate_backend($1)', [pid])
  assert.deepEqual(await eventually(() => postgres.query(one, [3])), [{ one: 3 }])
  const running = assert.rejects(postgres.query(sleep), unavailable)
  killer.query('select pg_terminate_backend($1)', [await sleeper(t, killer)])
  await running
})

test('a Postgres that is away refuses at once, and serves again when it is back', async (t) => {
  const postgres = openAsync(t)
  await postgres.query(one, [1])
  await service.stop()
  for (let n = 0; n < 3; n++) await assert.rejects(postgres.query(one, [2]), unavailable)
  await service.start()
  assert.deepEqual(await eventually(() => postgres.query(one, [3])), [{ one: 3 }])
})

test('a wrong password is a fault without the password', async (t) => {
  const password = 'wrong-and-secret'
  await assert.rejects(openAsync(t, {}, { ...db, password }).query(one, [1]), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'HC_POSTGRES_UNAVAILABLE')
    assert.ok(!`${error.message}${error.stack}`.includes(password))
    return true
  })
})

test('close refuses what waits and ends what runs', async (t) => {
  const postgres = openAsync(t, { connectionsMax: 1 })
  // Otherwise Postgres would go on with what runs, up to its own deadline.
  await leaveEndToClient(postgres)
  const both = [postgres.query(sleep), postgres.query(one, [2])].map((query) => assert.rejects(query, unavailable))
  const watcher = openPostgres(t, db)
  await sleeper(t, watcher)
  await postgres.close()
  await Promise.all(both)
  await assert.rejects(postgres.query(one, [3]), unavailable)
  await eventually(() => backends(t, watcher).length === 0)
})
