import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { startBuyers } from './helpers/buyers.ts'
import { startCommitCutter } from './helpers/commit-cutter.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister, type TestPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { openRedis, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

const toldCodes = (persister: TestPersister) => persister.logLines().flatMap(({ code }) => code ?? [])

test('a commit whose answer is lost is found done, and not done again', async (t) => {
  const redis = await startRedis(t)
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

test('a gap in the log is named and never skipped', async (t) => {
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  for (let n = 0; n < 8; n++) await buyers.checkOut(5)
  // The sale's opening is 1-1, so 1-5 is the fourth batch.
  await buyers.store.redis.xdel(buyers.store.keys.log, '1-5')

  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(async () => (await buyers.store.logState()).persister?.state === 'away')
  assert.deepEqual(recordedAttempts(postgres), buyers.decided.slice(0, 15), 'all that stands before the gap')
  const told = persister.logLines().find(({ code }) => code === 'HC_LOG_GAP')
  assert.match(told?.msg ?? '', /1-4.*1-6/)

  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
  assert.ok(persister.messages.some((message) => message.type === 'left' && message.what.includes('HC_LOG_GAP')))
  assert.equal(recordedAttempts(postgres).length, 15)
  assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 4, 'the entries behind the gap are kept')
})

test('entries that are missing at the end of the log are a gap as well', async (t) => {
  const redis = await startRedis(t)
  newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(5)
  await buyers.store.redis.xtrim(buyers.store.keys.log, 'MAXLEN', 0)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_LOG_GAP'))
})

test('an entry that nobody can read is named and never skipped', async (t) => {
  const redis = await startRedis(t)
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

test('a Redis that was emptied is named; a new epoch of its log is taken up', async (t) => {
  const redis = await startRedis(t)
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
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  postgres.query('alter table checkout_attempts rename to elsewhere')
  await buyers.checkOut(5)
  const reportedState = async () => (await buyers.store.logState()).persister?.state
  await eventually(async () => (await reportedState()) === 'away')
  const attempts = async () => {
    const { metrics } = await askMetrics(persister)
    return metrics.find(({ name }) => name === 'hotcakes_persister_faults_total')?.values[0]?.value ?? 0
  }
  await eventually(async () => (await attempts()) >= 3, { what: 'several attempts' })
  postgres.query('alter table elsewhere rename to checkout_attempts')
  await eventually(async () => (await reportedState()) === 'active')
  assertRecorded(postgres, buyers.decided)
  assert.deepEqual(toldCodes(persister), ['HC_POSTGRES_REFUSED', 'HC_POSTGRES_REFUSED'], 'one line each way')
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
  const redis = await startRedis(t)
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
  const redis = await startRedis(t)
  newRecord(t, db)
  const persister = await startPersister(t, { db, redis: redis.connection })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(persister.pid, signal)
  await askMetrics(persister)
  persister.disconnect()
  assert.deepEqual(await persister.exited, { code: 0, signal: null })
})

test('a persister says nothing of passwords', async (t) => {
  const redis = await startRedis(t)
  newRecord(t, db)
  const wrong = { ...db, password: 'not-the-password' }
  const persister = await startPersister(t, { db: wrong, redis: redis.connection })
  await eventually(() => toldCodes(persister).includes('HC_POSTGRES_UNAVAILABLE'))
  const said = JSON.stringify([persister.logLines(), persister.messages])
  for (const secret of [wrong.password, db.password, redis.connection.password]) assert.ok(!said.includes(secret))
})
