import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import type { EmbeddedRedis } from '../ops/embedded/facts.ts'
import { drainSteps } from '../workers/drain-steps.ts'
import { admitRun } from './helpers/admit-run.ts'
import { type Buyers, startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister, type TestPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, openPostgres, recordedAttempts } from './helpers/record.ts'
import { emptied, startPostgres, startRedis } from './helpers/services.ts'

// Goal: whatever happens to the persister, to Postgres or to Redis, each decided attempt becomes exactly one row.
// Method: real processes; after each disturbance the record is compared, attempt by attempt, with what was answered.

const { connection: db } = await startPostgres({ after })
/** Of whichever test is on. */
const anyRedis = await startRedis({ after })

async function buySome(buyers: Buyers, batches: number): Promise<void> {
  for (let n = 0; n < batches; n++) {
    await buyers.checkOut(20 + n)
    if (n % 3 === 2) await buyers.purchase(25)
  }
}

async function assertDrained(persister: TestPersister): Promise<void> {
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
}

function standsBy(persister: TestPersister): boolean {
  return persister.logLines().some(({ msg }) => msg.includes('stands by'))
}

/** Where it has gone last, as far as it has said. */
function placeOf(persister: TestPersister | undefined): string | undefined {
  return persister?.logLines().findLast(({ to }) => to !== undefined)?.to
}

function areActiveAndStandby([one, other]: readonly TestPersister[]): boolean {
  return placeOf(one) === 'active' && placeOf(other) === 'standby'
}

/** Two persisters on one log, of which one has given way by now. */
async function startRivals(t: TestContext, redis: EmbeddedRedis, buyers: Buyers): Promise<TestPersister[]> {
  const both = await Promise.all([1, 2].map(() => startPersister(t, { db, redis, logLevel: 'debug' })))
  await eventually(async () => {
    await buySome(buyers, 3)
    return both.some(standsBy)
  })
  return both
}

for (const step of drainSteps) {
  test(`a persister that dies at ${step} leaves a record that the next one completes`, async (t) => {
    const redis = await emptied(t, anyRedis)
    const postgres = newRecord(t, db)
    const buyers = await startBuyers(t, redis.connection)
    await buySome(buyers, 9)

    const first = await startPersister(t, { db, redis: redis.connection, dieAt: step })
    assert.deepEqual(await first.exited, { code: null, signal: 'SIGKILL' })
    const isCommitted = step !== 'after_offset' && step !== 'after_copy'
    await eventually(() => recordedAttempts(postgres).length === (isCommitted ? buyers.decided.length : 0))
    assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), step === 'after_trim' ? 0 : 13)

    const second = await startPersister(t, { db, redis: redis.connection })
    await eventually(async () => (await buyers.store.redis.xlen(buyers.store.keys.log)) === 0)
    assertRecorded(postgres, buyers.decided)

    await buySome(buyers, 3)
    await assertDrained(second)
    assertRecorded(postgres, buyers.decided)
    assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 0)
    assert.equal(postgres.query('select from sales').length, 1)
  })
}

test('a persister that dies again and again under load loses and doubles nothing', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  for (let round = 0; round < 2; round++) {
    for (const dieAt of drainSteps) {
      const persister = await startPersister(t, { db, redis: redis.connection, dieAt })
      await buySome(buyers, 3)
      await persister.exited
    }
  }
  await assertDrained(await startPersister(t, { db, redis: redis.connection }))
  assertRecorded(postgres, buyers.decided)
})

test('two persisters at once write each attempt once', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const both = await startRivals(t, redis.connection, buyers)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  assertRecorded(postgres, buyers.decided)

  await buySome(buyers, 9)
  await Promise.all(both.map(assertDrained))
  assertRecorded(postgres, buyers.decided)
})

test('when the active one of two persisters dies, the other takes over', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const both = await startRivals(t, redis.connection, buyers)
  const [active, heir] = await eventually(async () => {
    const pair = [both, both.toReversed()].find(areActiveAndStandby)
    // One that was slow for long has lost its turn, and both have given way by now.
    if (pair === undefined) await buySome(buyers, 3)
    return pair
  })
  assert.ok(active !== undefined && heir !== undefined)
  active.kill()
  await active.exited
  await buySome(buyers, 3)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  assertRecorded(postgres, buyers.decided)
  // The rows are there before it has said so.
  await eventually(() => heir.logLines().some(({ from, why }) => from === 'standby' && why === 'copied'))
  const story = heir.logLines().flatMap(({ from, to, why, msg }) => (from === undefined ? msg : `${from} ${why} ${to}`))
  assert.deepEqual(
    story.filter((line) => /^standby|takes over/.test(line)).slice(-3),
    ['the other persister does not go on: this one takes over', 'standby located standby', 'standby copied active'],
    story.join('\n'),
  )
})

test('a persister whose connection to Postgres is killed over and over goes on where it was', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  let killed = 0
  await eventually(async () => {
    await buySome(buyers, 3)
    killed += postgres.query(`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'hotcakes persister' and datname = current_database()`).length
    return killed >= 5
  })
  await assertDrained(persister)
  assertRecorded(postgres, buyers.decided)
})

test('Postgres can be away for a while: everything arrives when it is back', async (t) => {
  const [redis, server] = await Promise.all([emptied(t, anyRedis), startPostgres(t)])
  const ownDb = server.connection
  newRecord(t, ownDb)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db: ownDb, redis: redis.connection })
  const reportedState = async () => (await buyers.store.logState()).persister?.state
  await buySome(buyers, 6)
  await eventually(async () => (await reportedState()) === 'active')

  await server.stop()
  await buySome(buyers, 6)
  await eventually(async () => (await reportedState()) === 'away', { what: 'the persister reporting that it waits' })
  await buySome(buyers, 6)
  await server.start()
  await eventually(async () => (await reportedState()) === 'active')
  await buySome(buyers, 6)
  await assertDrained(persister)
  assertRecorded(openPostgres(t, ownDb), buyers.decided)
  const told = persister.logLines().filter(({ code }) => code === 'HC_POSTGRES_UNAVAILABLE')
  assert.equal(told.length, 2, 'one line when it went, one when it came back')
})

test('a persister that starts while Postgres is away waits for it', async (t) => {
  const [redis, server] = await Promise.all([emptied(t, anyRedis), startPostgres(t)])
  const ownDb = server.connection
  newRecord(t, ownDb)
  const buyers = await startBuyers(t, redis.connection)
  await buySome(buyers, 3)
  await server.stop()
  const persister = await startPersister(t, { db: ownDb, redis: redis.connection })
  await eventually(async () => (await buyers.store.logState()).persister?.state === 'away')
  await server.start()
  await assertDrained(persister)
  assertRecorded(openPostgres(t, ownDb), buyers.decided)
})

test('Redis can restart: the persister reads on where it was', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buySome(buyers, 6)
  await redis.stop()
  await redis.start()
  await admitRun(buyers.store)
  await buySome(buyers, 6)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  await assertDrained(persister)
  assertRecorded(postgres, buyers.decided)
})

test('the last 499 attempts and then silence reach Postgres', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(499)
  await eventually(() => recordedAttempts(postgres).length === 499)
  assertRecorded(postgres, buyers.decided)
})

test('what is appended while the persister drains is drained as well', async (t) => {
  const redis = await emptied(t, anyRedis)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  // More than one read holds, so that the drain is under way while the rest arrives.
  for (let n = 0; n < 600; n++) await buyers.checkOut(1)
  const persister = await startPersister(t, { db, redis: redis.connection })
  const end = persister.drain()
  await buySome(buyers, 9)
  assert.deepEqual(await end, { code: 0, signal: null })
  // It may have found the end between two batches; then the log still holds what came after, for the next one.
  await assertDrained(await startPersister(t, { db, redis: redis.connection }))
  assertRecorded(postgres, buyers.decided)
})
