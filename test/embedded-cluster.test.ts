// Goal: with more than one shard the embedded Redis is a cluster that keeps its data, whatever ports it finds, and grows out
// of one Redis alone.
// Method: real processes on folders that are started, stopped, killed and damaged.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { connectRedis, firstConnect, type RedisConnection } from '../core/redis/connection.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard, shardNumbers } from '../core/shards.ts'
import { attachEmbedded, type Embedded, startEmbedded } from '../ops/embedded/embedded.ts'
import { type EmbeddedNode, type EmbeddedRedis, readFacts } from '../ops/embedded/facts.ts'
import { isAlive } from '../ops/embedded/process-identity.mjs'
import type { ServiceExit } from '../ops/embedded/service.ts'
import { admitRun } from './helpers/admit-run.ts'
import { startBuyers } from './helpers/buyers.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'
import { listeningAddresses } from './helpers/listeners.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { commandTimeoutMs } from './helpers/services.ts'

const log = { info: () => undefined, warn: () => undefined }
const holder = fileURLToPath(new URL('helpers/embedded-holder.js', import.meta.url))

async function start(t: TestContext, dataDir: string, shards: number): Promise<Embedded & { redis: EmbeddedRedis }> {
  const embedded = await startEmbedded({ dataDir, redis: true, postgres: false, shards, log })
  t.after(() => embedded.stop())
  assert.ok(embedded.redis !== undefined)
  return { ...embedded, redis: embedded.redis }
}

function nodesIn(dataDir: string): readonly EmbeddedNode[] {
  return readFacts(dataDir).redis?.nodes ?? []
}

function ports({ number, port, busPort }: EmbeddedNode) {
  return { number, port, busPort }
}

async function connect(t: TestContext, redis: EmbeddedRedis, shard: number): Promise<RedisConnection> {
  const connection = connectRedis(redis, { shard, name: 'hotcakes test' })
  t.after(() => connection.disconnect())
  await firstConnect(connection, redis)
  return connection
}

/** The number of the node that has the shard. */
async function placeOf(
  t: TestContext,
  dataDir: string,
  redis: EmbeddedRedis,
  shard: number,
): Promise<number | undefined> {
  const connection = await connect(t, redis, shard)
  await connection.hget(shardKeys(shard).sales, 'epoch') // it is taken there
  const port = Number(/^tcp_port:(\d+)/m.exec(await connection.info('server'))?.[1])
  return nodesIn(dataDir).find((node) => node.port === port)?.number
}

async function places(t: TestContext, dataDir: string, redis: EmbeddedRedis, shards: number) {
  return await Promise.all(shardNumbers(shards).map((shard) => placeOf(t, dataDir, redis, shard)))
}

async function write(t: TestContext, redis: EmbeddedRedis, shard: number, text: string): Promise<void> {
  await (await connect(t, redis, shard)).hset(shardKeys(shard).persister, 'text', text)
}

async function read(t: TestContext, redis: EmbeddedRedis, shard: number): Promise<string | null> {
  return await (await connect(t, redis, shard)).hget(shardKeys(shard).persister, 'text')
}

test('three shards are on three masters, as private as one Redis, and all end with the server', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const embedded = await start(t, dataDir, 3)
  const { redis } = embedded
  const nodes = nodesIn(dataDir)
  assert.deepEqual([redis.host, redis.cluster], ['', nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')])
  assert.deepEqual(await places(t, dataDir, redis, 3), [0, 1, 2])
  // Those that come later have their place already: they move nothing when they are used.
  assert.deepEqual(await places(t, dataDir, redis, 6), [0, 1, 2, 0, 1, 2])
  for (const { number, port, busPort, process } of nodes) {
    for (const each of [port, busPort]) assert.deepEqual(listeningAddresses(each), ['127.0.0.1'])
    const name = number === 0 ? 'redis' : `redis-${number}`
    assert.ok(!readFileSync(`/proc/${process.pid}/cmdline`, 'utf8').includes(redis.password))
    assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o700)
    for (const file of [`${name}.log`, `${name}/redis.conf`])
      assert.equal(statSync(join(dataDir, file)).mode & 0o077, 0)
  }
  const connection = await connect(t, redis, firstShard)
  for (const command of [['MEET', '127.0.0.1', '1'], ['ADDSLOTS', '1'], ['RESET']]) {
    await assert.rejects(connection.call('CLUSTER', ...command), /NOPERM/)
  }
  await embedded.stop()
  assert.equal(nodes.length, 3)
  assert.deepEqual(
    nodes.filter(({ process }) => isAlive(process)),
    [],
  )
})

test('a cluster goes on with its data, on the ports that it had and on others', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const first = await start(t, dataDir, 2)
  for (const shard of shardNumbers(2)) await write(t, first.redis, shard, `of ${shard}`)
  await first.stop()
  const before = nodesIn(dataDir)

  const second = await start(t, dataDir, 2)
  assert.deepEqual(nodesIn(dataDir).map(ports), before.map(ports))
  assert.deepEqual(second.redis, first.redis)
  assert.deepEqual(await Promise.all(shardNumbers(2).map((shard) => read(t, second.redis, shard))), ['of 0', 'of 1'])
  await second.stop()

  // Somebody else has the ports of both, one of the clients' and one of the bus.
  for (const port of [before[0]?.port, before[1]?.busPort]) {
    const server = createServer().listen(port, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
  }
  const third = await start(t, dataDir, 2)
  assert.notDeepEqual(nodesIn(dataDir).map(ports), before.map(ports))
  assert.deepEqual(await places(t, dataDir, third.redis, 2), [0, 1])
  assert.deepEqual(await Promise.all(shardNumbers(2).map((shard) => read(t, third.redis, shard))), ['of 0', 'of 1'])
  await third.stop()
})

test('one Redis alone becomes the first node with its holds, and a cluster stays one', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const alone = await start(t, dataDir, 1)
  assert.equal(alone.redis.cluster, undefined)
  const buyers = await startBuyers(t, alone.redis, 100)
  await buyers.checkOut(5)
  await buyers.purchase(2)
  const sale = Number(buyers.decided[0]?.item?.split('-')[0])
  buyers.store.close()
  await alone.stop()
  // As a version before clusters has left it.
  const { redis } = readFacts(dataDir)
  const { cluster: _none, ...connection } = redis?.connection ?? assert.fail()
  writeFileSync(join(dataDir, 'embedded.json'), JSON.stringify({ redis: { connection, process: redis?.process } }))

  for (const shards of [3, 1]) {
    const grown = await start(t, dataDir, shards)
    assert.equal(nodesIn(dataDir).length, 3)
    assert.equal(grown.redis.password, alone.redis.password)
    assert.deepEqual(await places(t, dataDir, grown.redis, 3), [0, 1, 2])
    const store = new SaleStore(grown.redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
    t.after(() => store.close())
    await store.connect()
    await admitRun(store)
    const state = await store.saleState(sale)
    assert.deepEqual([state?.sold, state?.held], [2, 3])
    store.close()
    await grown.stop()
  }
})

test('a new shard gets the node that is there for it, and one with keys stays where it is', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const first = await start(t, dataDir, 2)
  const [, , third = 0] = shardNumbers(3)
  assert.deepEqual(await places(t, dataDir, first.redis, 3), [0, 1, 0])
  await write(t, first.redis, third, 'it was used before')
  await first.stop()

  const second = await start(t, dataDir, 3)
  assert.equal(nodesIn(dataDir).length, 3)
  assert.deepEqual(await places(t, dataDir, second.redis, 3), [0, 1, 0])
  assert.equal(await read(t, second.redis, third), 'it was used before')
  await (await connect(t, second.redis, third)).del(shardKeys(third).persister)
  await second.stop()

  const last = await start(t, dataDir, 3)
  assert.deepEqual(await places(t, dataDir, last.redis, 3), [0, 1, 2])
  await last.stop()
})

test('a node that dies is reported by its name, and a folder that is missing is not begun anew', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const embedded = await start(t, dataDir, 2)
  const exits: ServiceExit[] = []
  embedded.onExit((exit) => exits.push(exit))
  process.kill(nodesIn(dataDir)[1]?.process.pid ?? 0, 'SIGKILL')
  await eventually(() => exits.length > 0)
  await embedded.stop()
  assert.deepEqual(exits, [{ service: 'embedded Redis node 1', code: null, signal: 'SIGKILL' }])

  rmSync(join(dataDir, 'redis-1'), { recursive: true })
  const lost = { code: 'HC_EMBEDDED_FAILED', message: /lacks the data of one of its nodes.*put its folder back/ }
  await assert.rejects(start(t, dataDir, 2), lost)
  assert.deepEqual(
    nodesIn(dataDir).filter(({ process }) => isAlive(process)),
    [],
  )
})

test('a tool uses the nodes of the running server, and starts all of them when there is none', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  const options = { dataDir, redis: true, postgres: false, shards: 1, log }
  const killed = spawn(...endsWithUs('KILL', process.execPath, [holder, dataDir, '3']), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => killed.kill('SIGKILL'))
  await once(killed.stdout, 'data')
  const orphans = nodesIn(dataDir).map(({ process }) => process)
  const beside = await attachEmbedded(options)
  assert.deepEqual(beside.redis, readFacts(dataDir).redis?.connection)
  await beside.stop()
  assert.deepEqual(orphans.map(isAlive), [true, true, true])

  const ended = once(killed, 'exit')
  killed.kill('SIGKILL')
  await ended
  // The kernel has told them to end. Until one has, they are the nodes of a running server.
  await eventually(() => !orphans.every(isAlive))
  const alone = await attachEmbedded(options)
  t.after(() => alone.stop())
  assert.deepEqual(orphans.map(isAlive), [false, false, false])
  assert.equal(nodesIn(dataDir).length, 3)
  await alone.stop()
})
