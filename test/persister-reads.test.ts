// Goal: what a persister asks of Redis is bounded by what it knows of the log, and a Redis that is full doesn't hold it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { drainEntriesFirstMax, drainEntriesGrowthMax } from '../core/limits.ts'
import { startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { openRedis, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

test('reads of the log grow with what was copied, and are small again after a failure', async (t) => {
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const monitor = await (await openRedis(t, redis.admin)).monitor()
  t.after(() => monitor.disconnect())
  /** Entries that were asked for, a read each. */
  const reads: number[] = []
  monitor.on('monitor', (_time: string, [command, , count]: string[]) => {
    if (command?.toUpperCase() === 'XREAD') reads.push(Number(count))
  })
  for (let n = 0; n < 3 * drainEntriesFirstMax; n++) await buyers.checkOut(1)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  const grown = await eventually(() => reads.find((count) => count > drainEntriesFirstMax))
  assert.equal(reads[0], drainEntriesFirstMax)
  assert.ok(grown <= drainEntriesGrowthMax * drainEntriesFirstMax, String(grown))

  postgres.query('alter table checkout_attempts rename to elsewhere')
  await buyers.checkOut(1)
  await eventually(() => persister.logLines().some(({ code }) => code === 'HC_POSTGRES_REFUSED'))
  const areSmall = () => reads.slice(-3).every((count) => count === drainEntriesFirstMax)
  await eventually(areSmall, { what: 'small reads again' })

  postgres.query('alter table elsewhere rename to checkout_attempts')
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assertRecorded(postgres, buyers.decided)
})

test('a drained persister ends although its Redis is full of something else than the log', async (t) => {
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection, logLevel: 'debug' })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  await eventually(async () => (await buyers.store.redis.xlen(buyers.store.keys.log)) === 0)
  const admin = await openRedis(t, redis.admin)
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  await admin.config('SET', 'maxmemory', '1')
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  assert.ok(persister.logLines().some(({ level, code }) => level === 'debug' && code === 'HC_REDIS_REFUSED'))
  assertRecorded(postgres, buyers.decided)
})
