// Goal: calls that go past ioredis' commands are answered as those are, each with its own answer, also beside them on one
// connection, and never sent twice.
// Method: a real Redis behind a relay that cuts what Redis says wherever it likes.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { connectRedis, firstConnect } from '../core/redis/connection.ts'
import { DirectCalls } from '../core/redis/direct-calls.ts'
import { firstShard } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { isStopped } from './helpers/processes.ts'
import type { Scope } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'
import { openRedis, startRedis } from './helpers/services.ts'

const service = await startRedis({ after })
const admin = await openRedis({ after }, service.admin)
await admin.call(
  'FUNCTION',
  'LOAD',
  `#!lua name=texts
  redis.register_function('texts_pair', function(keys, args) redis.call('INCR', keys[1]) return {args[1], args[2]} end)
  redis.register_function('texts_error', function(keys, args) return redis.error_reply('HCOWN ' .. args[1]) end)
  redis.register_function('texts_three', function(keys, args) return {args[1], 3, false} end)`,
)

/** Leads to the Redis. What that says comes in pieces of 1 to `bytesMax` bytes, unless it is undefined. */
async function startRelay(scope: Scope, random: SeededRandom, bytesMax: number | undefined) {
  const sockets = new Set<Socket>()
  const relay = { bytesMax, isSilent: false, port: 0, breakAll: () => sockets.forEach((socket) => socket.destroy()) }
  const say = async (client: Socket, data: Buffer): Promise<void> => {
    for (let at = 0; at < data.length && !relay.isSilent; ) {
      const bytes = relay.bytesMax === undefined ? data.length : random.between(1, relay.bytesMax)
      client.write(data.subarray(at, at + bytes))
      at += bytes
      // So that the next piece is read by itself.
      await new Promise(setImmediate)
    }
  }
  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ port: service.connection.port, host: '127.0.0.1', noDelay: true })
    client.pipe(redis)
    let waiting = Promise.resolve()
    redis.on('data', (data: Buffer) => {
      waiting = waiting.then(() => say(client, data))
    })
    for (const socket of [client, redis]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        redis.destroy()
      })
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  relay.port = (server.address() as AddressInfo).port
  scope.after(() => {
    server.close()
    relay.breakAll()
  })
  return relay
}

async function connectThrough(scope: Scope, port: number) {
  const settings = { ...service.admin, port }
  // Pieces take a turn of the event loop each, and a busy machine has few of them.
  const redis = connectRedis(settings, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs: 120_000 })
  scope.after(() => redis.disconnect())
  const direct = new DirectCalls(redis)
  await firstConnect(redis, settings)
  return { redis, direct }
}

const texts = (reply: unknown): unknown =>
  Array.isArray(reply) ? reply.map((each) => (each === null ? null : String(each))) : String(reply)
const failure = (error: Error): string => error.message

for (const bytesMax of [undefined, 12, 60]) {
  const how = bytesMax === undefined ? 'whole' : `in pieces of up to ${bytesMax} bytes`
  test(`each call and each command beside it gets its own answer, ${how} (SEED=${seed})`, async (t) => {
    const random = new SeededRandom(seed)
    const { port } = await startRelay(t, random, bytesMax)
    const { redis, direct } = await connectThrough(t, port)
    const list = Array.from({ length: 60 }, (_, n) => `line ${n}\r\n$${n}`)
    await admin.rpush(`list:${how}`, ...list)
    const fcall = (name: string, ...args: (string | Buffer)[]) => direct.call(['FCALL', name, 1, 'pairs', ...args])

    const ask = async (n: number): Promise<void> => {
      const [bytes, id] = [Buffer.from('*2\r\n$3\r\nbad\r\n$1\r\n!\r\n'.repeat(random.below(20))), `1-${n}`]
      switch (random.below(7)) {
        case 0:
          return assert.deepEqual(await redis.lrange(`list:${how}`, 0, -1), list)
        case 1:
          return assert.equal(await redis.echo(id), id)
        case 2:
          return assert.equal(await fcall('texts_error', id).catch(failure), `HCOWN ${id}`)
        case 3:
          return assert.match(String(await redis.call('NOSUCH', id).catch(failure)), /unknown command 'NOSUCH'/)
        case 4:
          return assert.deepEqual(texts(await fcall('texts_three', id)), [id, '3', null])
        default:
          return assert.deepEqual(texts(await fcall('texts_pair', bytes, id)), [String(bytes), id])
      }
    }
    for (let round = 0; round < 12; round++)
      await Promise.all(Array.from({ length: random.between(1, 25) }, (_, n) => ask(round * 100 + n)))
  })
}

test('answers that come in pieces are read past ioredis as whole ones are, also with other calls out', async (t) => {
  const relay = await startRelay(t, new SeededRandom(seed), undefined)
  const { redis, direct } = await connectThrough(t, relay.port)
  const pair = (id: string) => direct.call(['FCALL', 'texts_pair', 1, 'pairs', 'a', id])
  const shiftedBy: string[] = []
  // ioredis' own command queue object: what it hands its answers to.
  const queue = (redis as unknown as { commandQueue: { shift(): unknown } }).commandQueue
  const shift = queue.shift.bind(queue)
  queue.shift = () => {
    shiftedBy.push(new Error('here').stack?.includes('DataHandler') ? 'ioredis' : 'direct')
    return shift()
  }
  for (const bytesMax of [5, undefined]) {
    relay.bytesMax = bytesMax
    const [first] = await Promise.all([pair('1-1'), pair('1-2'), redis.echo('beside'), pair('1-3'), pair('1-4')])
    assert.deepEqual(texts(first), ['a', '1-1'])
    assert.deepEqual(shiftedBy.splice(0), ['direct', 'direct', 'ioredis', 'direct', 'direct'])
  }
})

test('a call whose connection breaks fails, is not sent again, and the next connection takes calls', async (t) => {
  const relay = await startRelay(t, new SeededRandom(seed), undefined)
  const { redis, direct } = await connectThrough(t, relay.port)
  const pair = () => direct.call(['FCALL', 'texts_pair', 1, 'broken', 'a', '1-1'])
  await pair()
  relay.isSilent = true
  const lost = [pair(), pair()]
  await eventually(async () => (await admin.get('broken')) === '3', { what: 'Redis has run the calls' })
  relay.breakAll()
  relay.isSilent = false
  for (const each of lost) assert.match(String(await each.catch(failure)), /max retries per request/)
  await eventually(() => redis.status === 'ready', { what: 'another connection' })
  assert.deepEqual(texts(await pair()), ['a', '1-1'])
  assert.equal(await admin.get('broken'), '4')

  redis.disconnect()
  assert.match(String(await pair().catch(failure)), /Stream isn't writeable|Connection is closed/)
  assert.equal(await admin.get('broken'), '4')
})

test('a call that is not answered in time fails, and its late answer goes to nobody else', async (t) => {
  const relay = await startRelay(t, new SeededRandom(seed), undefined)
  const { redis, direct } = await connectThrough(t, relay.port)
  redis.options.commandTimeout = 200 // not for the connection itself
  const pair = (id: string) => direct.call(['FCALL', 'texts_pair', 1, 'pairs', 'a', id])
  process.kill(service.pid(), 'SIGSTOP')
  try {
    await eventually(() => isStopped(service.pid()))
    assert.equal(await pair('1-1').catch(failure), 'Command timed out')
  } finally {
    process.kill(service.pid(), 'SIGCONT')
  }
  await eventually(async () => (await redis.echo('there').catch(failure)) === 'there', { what: 'Redis goes on' })
  const isAnswered = async (): Promise<boolean> => {
    const reply = texts(await pair('1-2').catch(failure))
    assert.ok(String(reply) === 'a,1-2' || reply === 'Command timed out', String(reply))
    return Array.isArray(reply)
  }
  await eventually(isAnswered, { what: 'an answer of its own' })
})

test('of an ioredis that reads otherwise nothing is taken', async (t) => {
  const redis = connectRedis(service.admin, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs: 120_000 })
  t.after(() => redis.disconnect())
  redis.once('connect', () => redis.stream.on('data', () => undefined))
  const direct = new DirectCalls(redis)
  await firstConnect(redis, service.admin)
  assert.throws(() => direct.call(['PING']), { code: 'ERR_ASSERTION' })
  assert.throws(() => new DirectCalls(redis), { code: 'ERR_ASSERTION' })
  assert.equal(await redis.echo('as ever'), 'as ever')
})
