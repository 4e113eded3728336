// Goal: a shard's connection leads to the master that has it, whatever happens to the cluster, and no command runs twice.
// Method: a real cluster, of which each test has another part fail. What arrived anywhere is counted by the nodes themselves.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, type TestContext, test } from 'node:test'

import type { Redis } from 'ioredis'

import { shardsMax } from '../core/limits.ts'
import { slotOfShard } from '../core/redis/cluster-slot.ts'
import { CommittedListener } from '../core/redis/committed-channel.ts'
import { connectRedis, firstConnect, type RedisSettings, redisFault } from '../core/redis/connection.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard, shardNumbers } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { type ClusterProcess, startRedisCluster } from './helpers/redis-cluster.ts'
import { commandTimeoutMs, openRedis, startRedis } from './helpers/services.ts'

/** `enable-debug-command`: a node that loads its data while it runs can be had in no other way. */
const cluster = await startRedisCluster({ after }, { masters: 3, replicas: 1, lines: ['enable-debug-command yes'] })
const shards = shardNumbers(3)
const [, second = 0, third = 0] = shards

const counting = `#!lua name=probe
redis.register_function('probe_count', function(keys)
  for _, key in ipairs(keys) do redis.call('HINCRBY', key, 'n', 1) end
  return 'counted'
end)`

async function connect(t: TestContext, shard: number, settings: RedisSettings = cluster.settings): Promise<Redis> {
  const redis = connectRedis(settings, { shard, name: `test of shard ${shard}` })
  t.after(() => redis.disconnect())
  await firstConnect(redis, settings)
  return redis
}

async function portOf(redis: Redis): Promise<number> {
  return Number(/^tcp_port:(\d+)/m.exec(await redis.info('server'))?.[1])
}

/** Asks until the connection has found whoever has the shard now. */
async function leadsTo(redis: Redis, node: ClusterProcess): Promise<void> {
  await eventually(async () => (await portOf(redis)) === node.port, {
    what: `the connection leads to node ${node.number}`,
  })
}

/** As any command that names a key is answered: a demoted or cut-off master is found out by it. */
async function use(redis: Redis, shard: number): Promise<void> {
  await redis.hget(shardKeys(shard).sales, 'epoch').catch(redisFault)
}

test('each shard is where its slot is, and its connection leads to the master of that slot', async (t) => {
  const admin = await cluster.open(cluster.nodes[0] as ClusterProcess)
  t.after(() => admin.disconnect())
  for (const shard of shardNumbers(shardsMax)) {
    assert.equal(await admin.call('CLUSTER', 'KEYSLOT', shardKeys(shard).log), slotOfShard(shard))
  }
  const ports = new Set<number>()
  for (const shard of shards) {
    const redis = await connect(t, shard)
    const port = await portOf(redis)
    assert.equal(port, (await cluster.masterOf(shard)).port)
    assert.equal(await redis.hget(shardKeys(shard).sales, 'epoch'), null)
    ports.add(port)
  }
  assert.equal(ports.size, shards.length)
})

test('any listed node that is there says where the shards are, and none is an answer in time', async (t) => {
  const [listed = ''] = cluster.settings.cluster.split(',')
  const nowhere = '127.0.0.1:1'
  const redis = await connect(t, third, { ...cluster.settings, cluster: `${nowhere},${listed}` })
  await leadsTo(redis, await cluster.masterOf(third))
  const settings = { ...cluster.settings, cluster: nowhere }
  const alone = connectRedis(settings, { shard: third, name: 'test' })
  const unavailable = {
    code: 'HC_REDIS_UNAVAILABLE',
    message: /the Redis Cluster at 127.0.0.1:1: no node .* tells .* ECONNREFUSED/,
  }
  await assert.rejects(firstConnect(alone, settings), unavailable)
  const wrong = { ...cluster.settings, password: 'wrong' }
  const stranger = connectRedis(wrong, { shard: third, name: 'test' })
  await assert.rejects(firstConnect(stranger, wrong), { code: 'HC_REDIS_REFUSED', message: /WRONGPASS/ })
})

test('a connection follows a replica that takes over in order', async (t) => {
  const redis = await connect(t, second)
  const before = await cluster.masterOf(second)
  const promoted = await cluster.failOver(second)
  assert.notEqual(promoted.id, before.id)
  await eventually(async () => {
    await use(redis, second)
    return (await portOf(redis)) === promoted.port
  })
})

test('a subscriber follows as soon as anybody in its process has found the new master', async (t) => {
  const heard: string[] = []
  const listener = new CommittedListener(cluster.settings, {
    keys: shardKeys(second),
    name: 'a-listener',
    onPosition: ({ epoch, seq }) => heard.push(`${epoch}-${seq}`),
    onFault: () => undefined,
  })
  t.after(() => listener.close())
  await listener.connect()
  const redis = await connect(t, second)
  const promoted = await cluster.failOver(second)
  const admin = await cluster.open(promoted)
  t.after(() => admin.disconnect())
  await eventually(async () => {
    await use(redis, second)
    return String(await admin.call('CLIENT', 'LIST')).includes('name=a-listener')
  })
  await eventually(async () => {
    await redis.publish(shardKeys(second).committed, '3-7').catch(redisFault)
    return heard.includes('3-7')
  })
})

test('a connection follows when the master dies, and comes back to it when it has it again', async (t) => {
  const redis = await connect(t, third)
  const dead = await cluster.masterOf(third)
  await leadsTo(redis, dead)
  await dead.kill()
  const promoted = await eventually(async () => {
    const master = await cluster.masterOf(third)
    return master.id === dead.id ? undefined : master
  })
  await leadsTo(redis, promoted)
  assert.equal(await eventually(() => redis.hset(shardKeys(third).persister, 'written', 'after')), 1)
  await dead.start()
  const admin = await cluster.open(dead)
  t.after(() => admin.disconnect())
  await eventually(async () => /master_link_status:up/.test(await admin.info('replication')))
  assert.equal((await cluster.failOver(third)).id, dead.id)
  await eventually(async () => {
    await use(redis, third)
    return (await portOf(redis)) === dead.port
  })
})

test('a connection follows when the master hangs, and closes while it looks for another', async (t) => {
  const store = new SaleStore(cluster.settings, { shard: second, name: 'test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  const hung = await cluster.masterOf(second)
  t.after(() => hung.resume())
  hung.pause()
  // It gives a connection up on which no answer comes.
  await eventually(() => store.logState())
  const port = await portOf(store.redis)
  assert.ok(port !== hung.port && cluster.nodes.some((node) => node.port === port))
  // One listed node hangs, and the others are nowhere: the look takes as long as it may.
  const settings = { ...cluster.settings, cluster: `127.0.0.1:${hung.port},127.0.0.1:1` }
  const closed = connectRedis(settings, { shard: second, name: 'test' })
  const attempt = assert.rejects(firstConnect(closed, settings), { code: 'HC_REDIS_UNAVAILABLE' })
  closed.disconnect()
  await attempt
  assert.equal(closed.status, 'end')
  hung.resume()
  const admin = await cluster.open(hung)
  t.after(() => admin.disconnect())
  await eventually(async () => /master_link_status:up/.test(await admin.info('replication')))
})

test('the map of a master that was cut off is not believed, although it answers', async (t) => {
  const old = await cluster.masterOf(firstShard)
  const [redis, idle] = [await connect(t, firstShard), await connect(t, firstShard)]
  const admin = await cluster.open(old)
  t.after(() => admin.disconnect())
  cluster.cutOff(old)
  const promoted = await eventually(async () => {
    const master = await cluster.masterOf(firstShard)
    return master.id === old.id ? undefined : master
  })
  const itsMap = String(await admin.call('CLUSTER', 'NODES'))
  assert.match(itsMap, new RegExp(`^${old.id} .* myself,master .*\\d`, 'm'), 'it takes itself for the master')
  // It is the first that is asked, and a process that knows of no failover asks.
  const settings = {
    ...cluster.settings,
    cluster: [old, ...cluster.nodes].map(({ port }) => `127.0.0.1:${port}`).join(),
  }
  await leadsTo(await connect(t, firstShard, settings), promoted)
  await eventually(async () => {
    await use(redis, firstShard)
    return (await portOf(redis)) === promoted.port
  })
  await leadsTo(idle, promoted)
  cluster.rejoin(old)
  await eventually(async () => /role:slave/.test(await admin.info('replication')))
})

/** What the nodes have run of the function, and refused to. */
async function arrivals(): Promise<{ run: number; refused: number }> {
  const sum = { run: 0, refused: 0 }
  for (const node of cluster.nodes) {
    const admin = await cluster.open(node)
    const [, run, refused] =
      /^cmdstat_fcall:calls=(\d+),.*rejected_calls=(\d+)/m.exec(await admin.info('commandstats')) ?? []
    sum.run += Number(run ?? 0)
    sum.refused += Number(refused ?? 0)
    admin.disconnect()
  }
  return sum
}

interface Meeting {
  readonly redis: Redis
  readonly from: ClusterProcess
  /** Has no part in the shard. */
  readonly to: ClusterProcess
  readonly admin: Redis
  readonly key: string
}

/** A counter of the shard with its connection, before something is done to it. */
async function meet(t: TestContext, shard: number): Promise<Meeting> {
  const [from, to] = [await cluster.masterOf(shard), await cluster.masterOf((shard + 1) % shards.length)]
  for (const node of [from, to]) {
    const each = await cluster.open(node)
    await each.call('FUNCTION', 'LOAD', 'REPLACE', counting)
    each.disconnect()
  }
  const admin = await cluster.open(from)
  t.after(() => admin.disconnect())
  const redis = await connect(t, shard)
  // It may have shared a look of the test before, from the time before that one moved the shard back.
  await eventually(async () => {
    await use(redis, shard)
    return (await portOf(redis)) === from.port
  })
  return { redis, from, to, admin, key: `${shardKeys(shard).prefix}counter:${t.name}` }
}

/** One command that fails with this reply: it has arrived once, and no reply to it leads to another. */
async function failsOnce(redis: Redis, keys: readonly string[], reply: RegExp): Promise<void> {
  const before = await arrivals()
  await assert.rejects(redis.call('FCALL', 'probe_count', keys.length, ...keys), (error) => {
    const fault = redisFault(error)
    assert.equal(fault.code, 'HC_REDIS_UNAVAILABLE')
    assert.match(fault.message, reply)
    return true
  })
  await settled(redis)
  assert.deepEqual(await arrivals(), { ...before, refused: before.refused + 1 })
}

/** Whatever was to follow has arrived: the connection, be it a new one, has answered twice since. */
async function settled(redis: Redis): Promise<void> {
  for (let n = 0; n < 2; n++) await eventually(() => redis.info('server'))
}

test('MOVED: a command fails once, and the connection leads to whoever has the slot by then', async (t) => {
  const { redis, from, to, key } = await meet(t, second)
  assert.equal(await redis.call('FCALL', 'probe_count', 1, key), 'counted')
  await cluster.beginMove(second, to)
  await cluster.moveKeys(second, to)
  await cluster.endMove(second, to)
  await failsOnce(redis, [key], /^MOVED /)
  await leadsTo(redis, to)
  assert.equal(await redis.hget(key, 'n'), '1')
  await cluster.beginMove(second, from)
  await cluster.moveKeys(second, from)
  await cluster.endMove(second, from)
})

test('ASK and TRYAGAIN: a command fails once and is not asked for elsewhere, and the connection stays', async (t) => {
  const { redis, from, to, key } = await meet(t, second)
  const [gone, stays] = [`${key}:gone`, `${key}:stays`]
  assert.equal(await redis.call('FCALL', 'probe_count', 2, gone, stays), 'counted')
  await cluster.beginMove(second, to)
  await cluster.moveKeys(second, to, [gone])
  await failsOnce(redis, [gone], /^ASK /)
  await failsOnce(redis, [gone, stays], /^TRYAGAIN /)
  await leadsTo(redis, from)
  await cluster.moveKeys(second, to)
  await cluster.endMove(second, to)
  await failsOnce(redis, [gone], /^MOVED /)
  await leadsTo(redis, to)
  assert.deepEqual([await redis.hget(gone, 'n'), await redis.hget(stays, 'n')], ['1', '1'])
  await cluster.beginMove(second, from)
  await cluster.moveKeys(second, from)
  await cluster.endMove(second, from)
})

test('CLUSTERDOWN: a command fails once, and the connection looks for another master', async (t) => {
  const { redis, admin, key } = await meet(t, third)
  const lost: unknown[] = []
  redis.on('close', () => lost.push('close'))
  await admin.call('CLUSTER', 'DELSLOTS', slotOfShard(third))
  await failsOnce(redis, [key], /^CLUSTERDOWN /)
  assert.ok(lost.length > 0)
  await admin.call('CLUSTER', 'ADDSLOTS', slotOfShard(third))
  assert.equal(await eventually(() => redis.call('FCALL', 'probe_count', 1, key)), 'counted')
  assert.equal(await redis.hget(key, 'n'), '1')
})

test('LOADING: a command fails once', async (t) => {
  const { redis, from, admin, key } = await meet(t, third)
  for (let n = 0; n < 100; n++) await admin.set(`${shardKeys(third).prefix}filler:${n}`, randomBytes(1_000))
  // So slowly that it would take 10 s, and taking commands meanwhile: otherwise it would be over before one came.
  await admin.call('CONFIG', 'SET', 'key-load-delay', 100_000, 'loading-process-events-interval-bytes', 1_024)
  const reloaded = admin.call('DEBUG', 'RELOAD').catch(() => undefined) // it may take longer than this connection waits
  const watcher = await cluster.open(from)
  t.after(() => watcher.disconnect())
  await eventually(async () => /^loading:1/m.test(await watcher.info('persistence')))
  const before = await refusedAt(watcher)
  await assert.rejects(redis.call('FCALL', 'probe_count', 1, key), (error) => {
    const { code, message } = redisFault(error)
    return code === 'HC_REDIS_UNAVAILABLE' && message.startsWith('LOADING ')
  })
  assert.equal(await refusedAt(watcher), before + 1)
  await watcher.call('CONFIG', 'SET', 'key-load-delay', 0)
  await reloaded
  await eventually(async () => /^loading:0/m.test(await watcher.info('persistence')))
  assert.equal(await redis.hget(key, 'n'), null)
})

async function refusedAt(redis: Redis): Promise<number> {
  return Number(/^cmdstat_fcall:.*rejected_calls=(\d+)/m.exec(await redis.info('commandstats'))?.[1] ?? 0)
}

test('an answer that is lost after the command has run is not asked for again', async (t) => {
  const { redis, admin, key } = await meet(t, third)
  const before = await arrivals()
  const { stream } = redis as unknown as { stream: { pause(): void; destroy(): void } }
  stream.pause()
  const answer = redis.call('FCALL', 'probe_count', 1, key)
  const lost = assert.rejects(answer, (error) => redisFault(error).code === 'HC_REDIS_UNAVAILABLE')
  await eventually(async () => (await admin.hget(key, 'n')) === '1')
  stream.destroy()
  await lost
  await settled(redis)
  assert.deepEqual(await arrivals(), { ...before, run: before.run + 1 })
  assert.equal(await redis.hget(key, 'n'), '1')
})

test('READONLY: a command of one Redis alone fails once, and the connection is a new one', async (t) => {
  const service = await startRedis(t)
  const admin = await openRedis(t, service.admin)
  await admin.call('FUNCTION', 'LOAD', counting)
  const redis = await connect(t, firstShard, service.connection)
  const lost: unknown[] = []
  redis.on('close', () => lost.push('close'))
  await admin.call('REPLICAOF', '127.0.0.1', 1)
  const key = `${shardKeys(firstShard).prefix}counter`
  await assert.rejects(redis.call('FCALL', 'probe_count', 1, key), (error) => {
    const { code, message } = redisFault(error)
    return code === 'HC_REDIS_UNAVAILABLE' && message.startsWith('READONLY ')
  })
  await eventually(() => lost.length > 0)
  await admin.call('REPLICAOF', 'NO', 'ONE')
  await settled(redis)
  assert.match(await admin.info('commandstats'), /^cmdstat_fcall:calls=0,.*rejected_calls=1/m)
})
