import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { freePort } from '../core/free-port.ts'
import type { ToChild } from '../core/ipc.ts'
import type { PersisterState, PersisterStateName } from '../core/redis/persister-state.ts'
import { type Buyers, startBuyers } from './helpers/buyers.ts'
import { startCommitCutter } from './helpers/commit-cutter.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister, type TestPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { emptied, openRedis, startPostgres, startRedis } from './helpers/services.ts'
import { startTcpSwitch } from './helpers/tcp-switch.ts'

const { connection: db } = await startPostgres({ after })
/** Of whichever test is on. */
const anyRedis = await startRedis({ after })

/** What the persister says of itself, once it is that. */
async function reported(buyers: Buyers, state: PersisterStateName): Promise<PersisterState | undefined> {
  const { persister } = await buyers.store.logState()
  return persister?.state === state ? persister : undefined
}

const toldCodes = (persister: TestPersister) => persister.logLines().flatMap(({ code }) => code ?? [])

test('a commit whose answer is lost is found done, and not done again', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const cutter = await startCommitCutter(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db: cutter.db, redis: redis.connection })
  for (let round = 1; round <= 3; round++) {
    cutter.cutNext(1)
    await buyers.checkOut(30)
    await buyers.purchase(10)
    await eventually(() => cutter.cutCount() === round)
    await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  }
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('one that can’t reach Postgres any more ends when another has put on record what was there', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const address = await startTcpSwitch(t, db.port)
  const nobody = await freePort()
  const cut = await startPersister(t, { db: { ...db, host: '127.0.0.1', port: address.port }, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  address.leadTo(nobody)
  await buyers.checkOut(5)
  await eventually(() => reported(buyers, 'away'))
  const ended = cut.drain()
  const other = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => recordedAttempts(postgres).length === 10)
  assert.deepEqual(await ended, { code: 0, signal: null })
  assert.deepEqual(await other.drain(), { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('a gap in the log is named and never skipped', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  for (let n = 0; n < 8; n++) await buyers.checkOut(5)
  // The sale's opening is 1-1, so 1-5 is the fourth batch.
  await buyers.store.redis.xdel(buyers.store.keys.log, '1-5')

  const persister = await startPersister(t, { db, redis: redis.connection })
  const gap = await eventually(() => reported(buyers, 'log_fault'))
  assert.deepEqual(gap.trouble, { fault: 'HC_LOG_GAP', reason: 'after the log entry 1-4 comes 1-6' })
  assert.deepEqual(recordedAttempts(postgres), buyers.decided.slice(0, 15), 'all that stands before the gap')
  const told = await eventually(() => persister.logLines().find(({ code }) => code === 'HC_LOG_GAP'))
  assert.match(told.msg, /1-4.*1-6/)

  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  assert.ok(persister.messages.some((message) => message.type === 'left' && message.what.includes('HC_LOG_GAP')))
  assert.equal(recordedAttempts(postgres).length, 15)
  assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 4, 'the entries behind the gap are kept')
})

test('entries that are missing at the end of the log are a gap as well', async (t) => {
  const redis = await emptied(t, anyRedis)
  newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(5)
  await buyers.store.redis.xtrim(buyers.store.keys.log, 'MAXLEN', 0)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_LOG_GAP'))
})

test('an entry that nobody can read is named and never skipped', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(5)
  await buyers.store.redis.xadd(buyers.store.keys.log, '1-*', 'b', 'not msgpack')
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_LOG_MALFORMED'))
  assert.deepEqual(recordedAttempts(postgres), buyers.decided.slice(0, 5))
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 2)
})

test('all that stands before an entry whose contents nobody can read is copied, in whatever read it is', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  for (let n = 0; n < 7; n++) await buyers.checkOut(5)
  // The sale's opening is 1-1, so this is 1-9. It looks like a batch, and only who decodes it sees that it is none.
  await buyers.store.redis.xadd(buyers.store.keys.log, '1-*', 'b', 'not msgpack', 'r', 'neither')
  const good = [...buyers.decided]
  await buyers.checkOut(5)

  const persister = await startPersister(t, { db, redis: redis.connection })
  const fault = await eventually(() => reported(buyers, 'log_fault'))
  assert.equal(fault.trouble?.fault, 'HC_LOG_MALFORMED')
  assert.match(fault.trouble?.reason ?? '', /^the log entry 1-9: /)
  assertRecorded(postgres, good)
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 2, 'the bad entry and what follows it are kept')
})

test('an entry with a value that Postgres takes in no row is found among good ones, and named', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  for (let n = 0; n < 11; n++) await buyers.checkOut(5)
  const good = [...buyers.decided]
  await buyers.checkOut(1, 'nobody\0')
  for (let n = 0; n < 5; n++) await buyers.checkOut(5)

  const persister = await startPersister(t, { db, redis: redis.connection })
  const refused = await eventually(() => reported(buyers, 'refused'))
  assert.deepEqual(refused.trouble, {
    fault: 'HC_POSTGRES_REFUSED',
    reason: 'the log entry 1-13: a row is refused [22021]',
  })
  assertRecorded(postgres, good)
  assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 6)
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  const left = persister.messages.find(({ type }) => type === 'left') as { what: string } | undefined
  assert.match(left?.what ?? '', /Postgres refuses its rows \(HC_POSTGRES_REFUSED\): the log entry 1-13: /)
  assertRecorded(postgres, good)
})

test('a Redis that was emptied is named; a new epoch of its log is taken up', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  await (await openRedis(t, redis.admin)).flushdb()
  await eventually(() => toldCodes(persister).includes('HC_LOG_LOST'))

  await buyers.open(1_000, 2)
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 10)
  assertRecorded(postgres, buyers.decided)
})

test('an entry that Postgres refuses stops the persister, says so once, and is copied when Postgres takes it', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  postgres.query('alter table checkout_attempts rename to elsewhere')
  await buyers.checkOut(5)
  const refused = await eventually(() => reported(buyers, 'refused'))
  assert.deepEqual(refused.trouble, {
    fault: 'HC_POSTGRES_REFUSED',
    reason: 'relation "checkout_attempts" does not exist [42P01]',
  })
  const attempts = async () => {
    const { metrics } = await askMetrics(persister)
    return metrics.find(({ name }) => name === 'hotcakes_persister_faults_total')?.values[0]?.value ?? 0
  }
  await eventually(async () => (await attempts()) >= 3, { what: 'several attempts' })
  postgres.query('alter table elsewhere rename to checkout_attempts')
  const active = await eventually(() => reported(buyers, 'active'))
  assert.equal(active.trouble, undefined)
  assertRecorded(postgres, buyers.decided)
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assert.deepEqual(toldCodes(persister), ['HC_POSTGRES_REFUSED', 'HC_POSTGRES_REFUSED'], 'one line each way')
})

const readOnly = `"${db.name}" set default_transaction_read_only`
const refusals: readonly { what: string; statement: string; sqlState: string; undo?: string }[] = [
  { what: 'a right is missing', statement: 'revoke insert on purchases from hotcakes', sqlState: '42501' },
  { what: 'no partition can be made', statement: 'drop function ensure_attempts_partitions', sqlState: '42883' },
  {
    what: 'a constraint refuses the rows',
    statement: 'alter table purchases add constraint no_more check (n < 0)',
    sqlState: '23514',
  },
  {
    what: 'the database is read-only',
    statement: `alter database ${readOnly} = on`,
    sqlState: '25006',
    undo: `alter database ${readOnly} = default`,
  },
]

for (const { what, statement, sqlState, undo } of refusals) {
  test(`${what}: that Postgres refuses is said with its reason, and ends a drain at once`, async (t) => {
    const redis = await emptied(t, anyRedis)
    const postgres = newRecord(t, db)
    const buyers = await startBuyers(t, redis.connection)
    await buyers.checkOut(5)
    await buyers.purchase(5)
    postgres.query(statement)
    try {
      const persister = await startPersister(t, { db, redis: redis.connection })
      const { trouble } = await eventually(() => reported(buyers, 'refused'))
      assert.equal(trouble?.fault, 'HC_POSTGRES_REFUSED')
      assert.ok(trouble.reason.endsWith(`[${sqlState}]`), trouble.reason)
      assert.doesNotMatch(trouble.reason, /buyer-/)

      assert.deepEqual(await persister.drain(), { code: 1, signal: null })
      const left = persister.messages.find(({ type }) => type === 'left') as { what: string } | undefined
      assert.match(left?.what ?? '', new RegExp(`because Postgres refuses its rows .*\\[${sqlState}\\]$`))
      assert.ok(!persister.logLines().some(({ msg }) => msg.includes('buyer-')), 'no line quotes a row')
      assert.ok((await buyers.store.logState()).backlogEntries > 0)
    } finally {
      if (undo !== undefined) postgres.query(undo) // in a session that is older
    }
  })
}

test("another session's lock is named, and nothing is lost by it", async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  const [{ pid }] = postgres.query<{ pid: number }>('select pg_backend_pid() as pid') as [{ pid: number }]
  for (const statement of [
    'select from log_offsets for update',
    'lock table purchases in share mode',
    'lock table checkout_attempts in access exclusive mode',
  ]) {
    postgres.query('begin')
    postgres.query(statement)
    await buyers.checkOut(5)
    await buyers.purchase(5)
    const { trouble } = await eventually(() => reported(buyers, 'locked'), { what: statement })
    assert.equal(trouble?.fault, 'HC_POSTGRES_LOCKED')
    assert.equal(trouble.reason, "another session's lock: the log of the server says whose")
    await eventually(() => persister.logLines().some(({ msg }) => msg.includes(`process ${pid} (hotcakes test)`)))
    postgres.query('commit')
    await eventually(() => reported(buyers, 'active'))
  }
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('a drain waits for a lock to be let go, and says so', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(5)
  postgres.query('begin')
  postgres.query('lock table checkout_attempts in share mode')
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_POSTGRES_LOCKED'))
  const draining = persister.drain()
  await eventually(() =>
    persister.logLines().some(({ msg }) => msg.startsWith("the log can't be drained to its end yet")),
  )
  postgres.query('commit')
  assert.deepEqual(await draining, { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('a Postgres that hangs is named as what is waited for', async (t) => {
  const [redis, server] = await Promise.all([emptied(t, anyRedis), startPostgres(t)])
  const postgres = newRecord(t, server.connection)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db: server.connection, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  const [backend] = postgres.query<{ pid: number }>(
    `select pid from pg_stat_activity where application_name = 'hotcakes persister'`,
  )
  assert.ok(backend !== undefined)
  process.kill(backend.pid, 'SIGSTOP')
  await eventually(() => persister.logLines().some(({ msg }) => msg.startsWith('waiting for Postgres')))
  await eventually(() => reported(buyers, 'away'))
  process.kill(backend.pid, 'SIGCONT')
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('at the level debug the log tells each turn of a persister, and no more when it only goes on', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection, logLevel: 'debug' })
  for (let count = 5; count <= 20; count += 5) {
    await eventually(() => recordedAttempts(postgres).length === count)
    await buyers.checkOut(5)
  }
  await persister.drain()
  const turns = persister.logLines().flatMap(({ from, to, why }) => (from === undefined ? [] : `${from} ${why} ${to}`))
  assert.deepEqual(turns, [
    'connecting connected starting',
    'starting located starting',
    'starting copied active',
    'active drain active',
  ])
})

test('a bug of the persister process is logged with its stack, and ends it', async (t) => {
  const redis = await emptied(t, anyRedis)
  newRecord(t, db)
  const persister = await startPersister(t, { db, redis: redis.connection })
  persister.send(null as unknown as ToChild)
  assert.deepEqual(await persister.exited, { code: 1, signal: null })
  const bug = persister.logLines().find(({ msg }) => msg === 'a bug') as { err?: { stack?: string } } | undefined
  assert.match(bug?.err?.stack ?? '', /workers\/persister-main\.js/)
  assert.ok(persister.messages.some((message) => message.type === 'failed' && message.code === 'bug'))
})

interface Metric {
  readonly name: string
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string>> }[]
}

let metricsId = 0

async function askMetrics(persister: TestPersister): Promise<{ metrics: readonly Metric[] }> {
  const id = ++metricsId
  persister.send({ type: 'metrics', id })
  return await eventually(() => {
    const found = persister.messages.find((message) => message.type === 'metrics' && message.id === id)
    return found as { metrics: readonly Metric[] } | undefined
  })
}

test('the numbers of the persister are what it did', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(30)
  await buyers.purchase(20)
  await eventually(() => recordedAttempts(postgres).length === 50)
  const value = async (name: string, labels: Record<string, string> = {}) => {
    const { metrics } = await askMetrics(persister)
    const values = metrics.find((metric) => metric.name === name)?.values ?? []
    return values.find((one) => Object.entries(labels).every(([label, text]) => one.labels[label] === text))?.value
  }
  const rows = { sales: 1, checkout_attempts: 30, purchase_attempts: 20, purchases: 20 }
  for (const [table, count] of Object.entries(rows)) {
    await eventually(async () => (await value('hotcakes_persisted_rows_total', { table })) === count, { what: table })
  }
  assert.equal(await value('hotcakes_persister_state', { state: 'active' }), 1)
  assert.equal(await value('hotcakes_persister_state', { state: 'away' }), 0)
  await eventually(async () => (await value('hotcakes_log_backlog_entries')) === 0)
  await eventually(async () => (await value('hotcakes_log_lag_seconds')) === 0)
})

test('signals do not end a persister, the end of its primary does', async (t) => {
  const redis = await emptied(t, anyRedis)
  newRecord(t, db)
  const persister = await startPersister(t, { db, redis: redis.connection })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(persister.pid, signal)
  await askMetrics(persister)
  persister.disconnect()
  assert.deepEqual(await persister.exited, { code: 0, signal: null })
})

test('a persister says nothing of passwords', async (t) => {
  const redis = await emptied(t, anyRedis)
  newRecord(t, db)
  const wrong = { ...db, password: 'not-the-password' }
  const persister = await startPersister(t, { db: wrong, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_POSTGRES_UNAVAILABLE'))
  const said = JSON.stringify([persister.logLines(), persister.messages])
  for (const secret of [wrong.password, db.password, redis.connection.password]) assert.ok(!said.includes(secret))
})
