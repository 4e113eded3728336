// Goal: only what the admitted run of Redis decided gets into the record, whichever Redis the persister reaches, and nothing
// is missing between two epochs.
// Method: the test is the guard that names runs and epochs in Postgres.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import type { LogPosition } from '../core/log-position.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import type { SaleStore } from '../core/redis/sale-store.ts'
import type { EmbeddedRedis } from '../ops/embedded/facts.ts'
import { admitRun } from './helpers/admit-run.ts'
import { type Buyers, startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister, type TestPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { openRedis, startPostgres, startRedis } from './helpers/services.ts'
import { startTcpSwitch } from './helpers/tcp-switch.ts'

const { connection: db } = await startPostgres({ after })
const drained = { code: 0, signal: null }

function nameRun(postgres: Postgres, run: string): void {
  postgres.query('update log_offsets set run = $1', [run])
}

function nameEpoch(postgres: Postgres, epoch: number, after_: LogPosition): void {
  postgres.query('insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values (0, $1, $2, $3, $4)', [
    epoch,
    'of a test',
    after_.epoch,
    after_.seq,
  ])
}

/** As an admission does it in Redis. */
async function beginEpoch(store: SaleStore, newEpoch: number): Promise<void> {
  const { epoch = 0, recordId = 'of a test', last } = await store.logState()
  await store.admit({ run: store.run, epoch, recordId, begins: { epoch: newEpoch, after: last } })
}

async function start(t: TestContext, redis: EmbeddedRedis) {
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis)
  return { postgres, buyers }
}

function waitsForRun(persister: TestPersister): boolean {
  return persister.logLines().some(({ msg }) => msg.includes('reaches another run of Redis'))
}

async function lastOf({ store }: Buyers): Promise<LogPosition> {
  return (await store.logState()).last
}

test('what another run has written than the admitted one is not copied, until that one is admitted', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  nameRun(postgres, 'of another')
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => waitsForRun(persister))
  assert.deepEqual(recordedAttempts(postgres), [])
  assert.equal((await buyers.store.logState()).persister, undefined, 'it says nothing there')
  nameRun(postgres, buyers.store.run)
  await eventually(() => recordedAttempts(postgres).length === 5)
  await buyers.checkOut(5)
  assert.deepEqual(await persister.drain(), drained)
  assertRecorded(postgres, buyers.decided)
})

test('a drain waits for the admission of the run that it reaches', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  nameRun(postgres, 'of another')
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection })
  const end = persister.drain()
  await eventually(() => waitsForRun(persister))
  nameRun(postgres, buyers.store.run)
  assert.deepEqual(await end, drained)
  assertRecorded(postgres, buyers.decided)
})

test('a Redis that restarts is read on when it is admitted again', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  nameRun(postgres, buyers.store.run)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  await redis.stop()
  await redis.start()
  await admitRun(buyers.store)
  await buyers.checkOut(5)
  await eventually(() => waitsForRun(persister))
  assert.equal(recordedAttempts(postgres).length, 5)
  nameRun(postgres, buyers.store.run)
  await eventually(() => recordedAttempts(postgres).length === 10)
  assert.deepEqual(await persister.drain(), drained)
  assertRecorded(postgres, buyers.decided)
})

for (const isIdle of [true, false]) {
  const what = isIdle ? 'and decides no more' : 'and goes on'
  test(`nothing is taken from a master that was cut off ${what}: the persister finds its successor`, async (t) => {
    const [old, successor] = [await startRedis(t), await startRedis(t)]
    const { postgres, buyers } = await start(t, old.connection)
    nameRun(postgres, buyers.store.run)
    const address = await startTcpSwitch(t, old.connection.port)
    const { user, password } = old.connection
    await (await openRedis(t, successor.admin)).acl('SETUSER', user, `>${password}`)
    const theirs = await startBuyers(t, successor.connection)
    const persister = await startPersister(t, { db, redis: { ...old.connection, port: address.port } })
    await buyers.checkOut(5)
    await eventually(() => recordedAttempts(postgres).length === 5)
    const known = [...buyers.decided]

    nameEpoch(postgres, 2, await lastOf(buyers))
    await beginEpoch(theirs.store, 2)
    nameRun(postgres, theirs.store.run)
    address.leadTo(successor.connection.port, 'stay')
    if (!isIdle) await buyers.checkOut(5)
    await theirs.checkOut(7)
    await eventually(() => recordedAttempts(postgres).length === 12)
    assert.deepEqual(await persister.drain(), drained)
    assertRecorded(postgres, [...known, ...theirs.decided])
  })
}

test('entries of several epochs are copied, each where the one before ended', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  nameRun(postgres, buyers.store.run)
  for (const epoch of [2, 3, 5]) {
    await buyers.checkOut(5)
    nameEpoch(postgres, epoch, await lastOf(buyers))
    await beginEpoch(buyers.store, epoch)
  }
  // One in which nothing is decided has no end of its own.
  nameEpoch(postgres, 6, { epoch: 3, seq: 1 })
  await beginEpoch(buyers.store, 6)
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection })
  assert.deepEqual(await persister.drain(), drained)
  assertRecorded(postgres, buyers.decided)
  assert.deepEqual(
    [...new Set(buyers.decided.map(({ position }) => position.split('/')[0]))],
    ['1-2', '2-1', '3-1', '6-1'],
  )
})

test('entries that are missing at the end of an epoch are a gap, which the next one does not hide', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  const { store } = buyers
  for (let n = 0; n < 4; n++) await buyers.checkOut(5)
  nameEpoch(postgres, 2, await lastOf(buyers))
  await store.redis.xdel(store.keys.log, '1-4', '1-5')
  await beginEpoch(store, 2)
  const faultOf = async () => (await store.logState()).persister?.trouble
  const persister = await startPersister(t, { db, redis: redis.connection })
  const atTheEnd = await eventually(faultOf)
  assert.deepEqual(atTheEnd, {
    fault: 'HC_LOG_GAP',
    reason: 'the log ends at 2-0, and 2 entries after 1-3 are missing',
  })
  await buyers.checkOut(5)
  const between = await eventually(async () => {
    const trouble = await faultOf()
    return trouble?.reason === atTheEnd.reason ? undefined : trouble
  })
  assert.deepEqual(between, {
    fault: 'HC_LOG_GAP',
    reason: 'the epoch 2 follows 1-5, and Postgres has the log up to 1-3',
  })
  assert.deepEqual(recordedAttempts(postgres), buyers.decided.slice(0, 10))
  assert.deepEqual(await persister.drain(), { code: 1, signal: null })
})

test('an epoch that a version before has begun is taken as it comes', async (t) => {
  const redis = await startRedis(t)
  const { postgres, buyers } = await start(t, redis.connection)
  await buyers.checkOut(5)
  await beginEpoch(buyers.store, 4)
  await buyers.checkOut(5)
  const persister = await startPersister(t, { db, redis: redis.connection })
  assert.deepEqual(await persister.drain(), drained)
  assertRecorded(postgres, buyers.decided)
})
