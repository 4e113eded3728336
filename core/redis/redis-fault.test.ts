import assert, { AssertionError } from 'node:assert'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'

import { Fault } from '../faults.ts'
import { firstShard } from '../shards.ts'
import { connectRedis, redisFault } from './connection.ts'

/** A connection to somebody who speaks like this instead of Redis. */
async function connectTo(t: TestContext, answer: string | undefined) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => answer !== undefined && socket.write(answer))
  })
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
  const { port } = server.address() as { port: number }
  const settings = { host: '127.0.0.1', port, user: '', password: '', tls: false }
  const redis = connectRedis(settings, { shard: firstShard, name: 'hotcakes test' })
  const errors: unknown[] = []
  redis.on('error', (error) => errors.push(error))
  t.after(() => {
    redis.disconnect()
    server.close()
  })
  return { redis, server, errors }
}

function codeOf(error: unknown): string {
  return redisFault(error).code
}

test('what goes wrong with a Redis that is away, silent, gone, or none, is a fault', async (t) => {
  const silent = await connectTo(t, undefined)
  const dropped = assert.rejects(silent.redis.connect(), (error) => codeOf(error) === 'HC_REDIS_UNAVAILABLE')
  silent.redis.disconnect()
  await dropped
  await assert.rejects(silent.redis.ping(), (error) => codeOf(error) === 'HC_REDIS_UNAVAILABLE')

  const gone = await connectTo(t, undefined)
  await new Promise((resolve) => gone.server.close(resolve))
  await assert.rejects(gone.redis.connect(), (error) => codeOf(error) === 'HC_REDIS_UNAVAILABLE')
  assert.deepEqual(gone.errors.map(codeOf), ['HC_REDIS_UNAVAILABLE'])

  const other = await connectTo(t, 'HTTP/1.1 400 Bad Request\r\n\r\n')
  await assert.rejects(other.redis.connect(), (error) => codeOf(error) === 'HC_REDIS_UNAVAILABLE')
  assert.deepEqual([...new Set(other.errors.map(codeOf))], ['HC_REDIS_UNAVAILABLE'])
})

test('a connection that was closed is not made again', async (t) => {
  const { redis, server } = await connectTo(t, undefined)
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })
  redis.disconnect()
  await assert.rejects(redis.connect(), (error) => codeOf(error) === 'HC_REDIS_UNAVAILABLE')
  assert.equal(connections, 0)
})

test('a bug is thrown as it is, whatever asked Redis', () => {
  const bugs = [new TypeError('x is not a function'), new RangeError('too long'), new AssertionError({ message: 'no' })]
  for (const bug of bugs)
    assert.throws(
      () => redisFault(bug),
      (error) => error === bug,
    )
  const fault = new Fault('HC_SCHEMA', 'as it was')
  assert.equal(redisFault(fault), fault)
})
