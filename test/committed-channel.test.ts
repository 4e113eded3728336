import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { formatLogPosition, parseLogPosition } from '../core/log-position.ts'
import { CommittedListener, publishCommitted } from '../core/redis/committed-channel.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { firstShard } from '../core/shards.ts'
import type { EmbeddedRedis } from '../ops/embedded/facts.ts'
import { startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { openRedis, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

async function listen(t: TestContext, redis: EmbeddedRedis) {
  const heard: string[] = []
  const faults: string[] = []
  const listener = new CommittedListener(redis, {
    keys: shardKeys(firstShard),
    name: 'listener',
    onPosition: (position) => heard.push(formatLogPosition(position)),
    onFault: ({ code }) => faults.push(code),
  })
  t.after(() => listener.close())
  await listener.connect()
  await listener.check() // by its answer the connection has subscribed
  return { listener, heard, faults }
}

test('what is said of a commit is true: the offset in Postgres is there, the moment it is heard', async (t) => {
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const { heard } = await listen(t, redis.connection)
  await startPersister(t, { db, redis: redis.connection })
  for (let round = 1; round <= 20; round++) {
    await buyers.checkOut(3)
    await eventually(() => heard.includes(`1-${round + 1}`)) // 1-1 is the opened sale
    const [offset] = postgres.query<{ seq: number }>('select seq::int from log_offsets')
    assert.ok((offset?.seq ?? 0) >= round + 1)
  }
  const seqs = heard.map((id) => parseLogPosition(id).seq)
  assert.deepEqual(
    seqs,
    seqs.toSorted((a, b) => a - b),
  )
})

test('a commit whose persister died before it could say so is said by the next one', async (t) => {
  const redis = await startRedis(t)
  newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  await buyers.checkOut(3)
  const { heard } = await listen(t, redis.connection)
  const first = await startPersister(t, { db, redis: redis.connection, dieAt: 'after_commit' })
  await first.exited
  assert.deepEqual(heard, ['0-0'], 'where it found Postgres')
  await startPersister(t, { db, redis: redis.connection })
  await eventually(() => heard.includes('1-2'))
})

test('a listener hears again after its connection was cut, after it hung, and after Redis was restarted', async (t) => {
  const redis = await startRedis(t)
  const { store } = await startBuyers(t, redis.admin)
  const { listener, heard, faults } = await listen(t, redis.connection)
  let seq = 0
  const hearsAgain = async () => {
    const before = seq
    await eventually(async () => {
      seq += 1
      await publishCommitted(store.redis, store.keys, { epoch: 1, seq })
      return heard.some((id) => parseLogPosition(id).seq > before)
    })
  }
  await hearsAgain()
  await listener.check()

  await (await openRedis(t, redis.admin)).client('KILL', 'TYPE', 'PUBSUB')
  await hearsAgain()

  process.kill(redis.pid(), 'SIGSTOP')
  await listener.check()
  process.kill(redis.pid(), 'SIGCONT')
  assert.deepEqual(faults, ['HC_REDIS_UNAVAILABLE'])
  await hearsAgain()

  await redis.stop()
  await redis.start()
  await hearsAgain()
})

test('a message that is no position is a fault, and the next one is heard', async (t) => {
  const redis = await startRedis(t)
  const { store } = await startBuyers(t, redis.connection)
  const { heard, faults } = await listen(t, redis.connection)
  await store.redis.publish(store.keys.committed, 'soon')
  await publishCommitted(store.redis, store.keys, { epoch: 1, seq: 7 })
  await eventually(() => heard.includes('1-7'))
  assert.deepEqual(faults, ['HC_LOG_MALFORMED'])
})
