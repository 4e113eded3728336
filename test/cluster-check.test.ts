// Goal: a Redis that is not what the settings say is named at the start, with what to do.
// Method: real ones of each kind: alone, a Sentinel, clusters that are whole, damaged, mixed up and announced wrongly.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { freePort } from '../core/free-port.ts'
import { checkCluster } from '../core/redis/cluster-check.ts'
import { slotOfShard } from '../core/redis/cluster-slot.ts'
import type { RedisSettings } from '../core/redis/connection.ts'
import { shardNumbers } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { type ClusterProcess, startRedisCluster } from './helpers/redis-cluster.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { chosenRedis, startRedis } from './helpers/services.ts'

const [cluster, alone] = await Promise.all([
  startRedisCluster({ after }, { masters: 3, replicas: 1 }),
  startRedis({ after }),
])
const { settings, nodes } = cluster
const [, , third = 0] = shardNumbers(3)

/** Runs something at a node as a user who may do everything. */
async function at(node: ClusterProcess, ...command: readonly string[]): Promise<unknown> {
  const [name = '', ...args] = command
  const redis = await cluster.open(node)
  try {
    return await redis.call(name, ...args)
  } finally {
    redis.disconnect()
  }
}

async function atAll(...command: readonly string[]): Promise<void> {
  for (const node of nodes) await at(node, ...command)
}

function isUnassigned({ message }: Error): void {
  assert.match(message, /already unassigned/)
}

/** For what takes the cluster a moment to know. */
async function holdsAtLast(assertion: () => Promise<void>): Promise<void> {
  await eventually(async () => {
    await assertion()
    return true
  })
}

/** Every node says that the shard is there. */
async function allKnow(shard: number, { port }: ClusterProcess): Promise<void> {
  const slot = slotOfShard(shard)
  await eventually(async () => {
    const replies = await Promise.all(nodes.map((each) => at(each, 'CLUSTER', 'SLOTS')))
    return replies.every((reply) => {
      const ranges = reply as [first: number, last: number, master: [string, number]][]
      return ranges.find(([first, last]) => first <= slot && slot <= last)?.[2][1] === port
    })
  })
}

function placeOf({ port }: { port: number }): string {
  return `127.0.0.1:${port}`
}

function refused(message: RegExp, code = 'HC_REDIS_CLUSTER') {
  return { code, message }
}

async function startSentinel(t: TestContext): Promise<RedisSettings> {
  const folder = temporaryFolder(t)
  const port = await freePort()
  const file = join(folder, 'sentinel.conf')
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${folder}\n`)
  const child = spawn(chosenRedis() ?? 'redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  return { host: '127.0.0.1', port, user: '', password: '', tls: false }
}

test('one Redis alone, and a cluster that is whole, have nothing to say', async () => {
  assert.deepEqual(await checkCluster(alone.connection, 1), { warnings: [] })
  assert.deepEqual(await checkCluster(alone.connection, 3), { warnings: [] })
  assert.deepEqual(await checkCluster(settings, 3), { warnings: [] })
  const replica = nodes[5] as ClusterProcess
  assert.deepEqual(await checkCluster({ ...settings, cluster: placeOf(replica) }, 3), { warnings: [] })
})

test('a cluster where one Redis was meant, and one where a cluster was, are told apart', async () => {
  const [node] = nodes
  const asOne = { ...settings, cluster: '', host: '127.0.0.1', port: node?.port ?? 0 }
  await assert.rejects(
    checkCluster(asOne, 1),
    refused(/^REDIS_HOST leads to a node of a Redis Cluster: .*REDIS_CLUSTER/),
  )
  const { user, password } = alone.connection
  const asCluster = { ...settings, user, password, cluster: placeOf(alone.connection) }
  await assert.rejects(
    checkCluster(asCluster, 1),
    refused(
      new RegExp(`^REDIS_CLUSTER names ${placeOf(alone.connection)}, a Redis that is no cluster: set REDIS_HOST`),
    ),
  )
})

test('a Sentinel is told for what it is, although it knows no password', async (t) => {
  const sentinel = await startSentinel(t)
  await holdsAtLast(() =>
    assert.rejects(checkCluster(sentinel, 1), refused(/^REDIS_HOST leads to a Sentinel: name the Redis/)),
  )
  const withPassword = { ...sentinel, user: 'hotcakes', password: 'of another' }
  await assert.rejects(checkCluster(withPassword, 1), refused(/leads to a Sentinel/))
  await assert.rejects(
    checkCluster({ ...withPassword, cluster: placeOf(sentinel) }, 1),
    refused(/^REDIS_CLUSTER names .*, a Sentinel: name the nodes of the cluster/),
  )
})

test('a wrong password, a missing right and nobody at all are said in time', async () => {
  await assert.rejects(
    checkCluster({ ...settings, password: 'wrong' }, 1),
    refused(/no node of REDIS_CLUSTER .*WRONGPASS/, 'HC_REDIS_REFUSED'),
  )
  await assert.rejects(
    checkCluster({ ...settings, cluster: '127.0.0.1:1' }, 1),
    refused(/127\.0\.0\.1:1 \(connect ECONNREFUSED/, 'HC_REDIS_UNAVAILABLE'),
  )
  await assert.rejects(
    checkCluster({ ...alone.connection, port: 1 }, 1),
    refused(/^Redis at 127\.0\.0\.1:1: connect ECONNREFUSED/, 'HC_REDIS_UNAVAILABLE'),
  )
  await atAll('ACL', 'SETUSER', 'hotcakes', '-cluster|nodes')
  await assert.rejects(checkCluster(settings, 1), refused(/cluster\|nodes.*docs\/ACCESS\.md/, 'HC_REDIS_REFUSED'))
  await atAll('ACL', 'SETUSER', 'hotcakes', '+cluster|nodes')
})

test('a node of the list that is away is a warning while others answer', async () => {
  const { warnings } = await checkCluster({ ...settings, cluster: `127.0.0.1:1,${settings.cluster}` }, 3)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^of REDIS_CLUSTER a node can't be asked: 127\.0\.0\.1:1 \(connect ECONNREFUSED/)
})

test('a slot that needs all others is refused, and one that may not be asked for is a warning', async () => {
  const node = nodes[4] as ClusterProcess // no list names it: it is a replica
  await at(node, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'yes')
  await assert.rejects(
    checkCluster(settings, 3),
    refused(new RegExp(`^cluster-require-full-coverage is yes at ${placeOf(node)}, .*: set it to no at every node`)),
  )
  await at(node, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
  await at(node, 'ACL', 'SETUSER', 'hotcakes', '-config')
  const { warnings } = await checkCluster(settings, 3)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', new RegExp(`^${placeOf(node)} may not be asked for cluster-require-full-coverage`))
  await at(node, 'ACL', 'SETUSER', 'hotcakes', '+config|get')
})

test('a replica that would refuse all writes after it took over is a warning', async () => {
  const node = nodes[3] as ClusterProcess
  await at(node, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
  const { warnings } = await checkCluster(settings, 3)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', new RegExp(`^min-replicas-to-write is above 0 at ${placeOf(node)}: `))
  await at(node, 'CONFIG', 'SET', 'min-replicas-to-write', '0')
})

test('shards that share a master are a warning that says how much it decides', async () => {
  const { warnings } = await checkCluster(settings, 4)
  assert.equal(warnings.length, 1)
  assert.match(
    warnings[0] ?? '',
    /^shards 0, 3 are on one master, 127\.0\.0\.1:\d+, which decides 50 % of all items: the cluster has 3 masters for 4 shards$/,
  )
  const [from, to] = [await cluster.masterOf(third), nodes[0] as ClusterProcess]
  const move = async (node: ClusterProcess) => {
    await cluster.beginMove(third, node)
    await cluster.endMove(third, node)
    await allKnow(third, node)
  }
  await move(to)
  assert.match(
    (await checkCluster(settings, 3)).warnings.join(),
    /^shards 0, 2 are on one master, .* 67 % .*: move the slot of one to a master that has none$/,
  )
  await move(from)
})

test('nodes of two clusters are not taken for one', async (t) => {
  const other = await startRedisCluster(t, { masters: 1 })
  const [foreign] = other.nodes
  assert.ok(foreign !== undefined)
  const redis = await other.open(foreign)
  t.after(() => redis.disconnect())
  const { user, password } = settings
  await redis.call('ACL', 'SETUSER', user, `>${password}`)
  const mixed = { ...settings, cluster: `${placeOf(foreign)},${settings.cluster}` }
  await assert.rejects(
    checkCluster(mixed, 3),
    refused(new RegExp(`^REDIS_CLUSTER names nodes of different clusters: .*${placeOf(foreign)}`)),
  )
  await redis.call('CLUSTER', 'FLUSHSLOTS')
  const { warnings } = await checkCluster(mixed, 3)
  assert.deepEqual(warnings, [`of REDIS_CLUSTER ${placeOf(foreign)} is in no cluster with the others`])
  assert.equal(user, other.settings.user)
  assert.notEqual(password, other.settings.password)
})

test('an address that the cluster announces and that leads nowhere is named', async () => {
  const node = await cluster.masterOf(third)
  const nowhere = await freePort()
  await at(node, 'CONFIG', 'SET', 'cluster-announce-port', String(nowhere))
  await holdsAtLast(async () => {
    for (const each of nodes.slice(0, 3))
      assert.match(String(await at(each, 'CLUSTER', 'NODES')), new RegExp(`:${nowhere}@`))
  })
  await assert.rejects(
    checkCluster(settings, 3),
    refused(
      new RegExp(`announces 127\\.0\\.0\\.1:${nowhere} for a shard, .*ECONNREFUSED.*cluster-announce-ip`),
      'HC_REDIS_UNAVAILABLE',
    ),
  )
  await at(node, 'CONFIG', 'SET', 'cluster-announce-port', '0')
  await holdsAtLast(async () => assert.deepEqual(await checkCluster(settings, 3), { warnings: [] }))
})

test('a shard whose slot nobody has is named, with the slot', async () => {
  const slot = slotOfShard(third)
  const owner = await cluster.masterOf(third)
  const nobodys = refused(
    new RegExp(`^shard 2 is in slot ${slot} of the cluster, which no master has: give it to one`),
    'HC_REDIS_UNAVAILABLE',
  )
  // One that has let it go may hear of it again from its owner, which had not yet.
  await holdsAtLast(async () => {
    for (const node of [owner, ...nodes]) await at(node, 'CLUSTER', 'DELSLOTS', String(slot)).catch(isUnassigned)
    await assert.rejects(checkCluster(settings, 3), nobodys)
  })
  await at(owner, 'CLUSTER', 'ADDSLOTS', String(slot))
  await allKnow(third, owner)
  await holdsAtLast(async () => assert.deepEqual(await checkCluster(settings, 3), { warnings: [] }))
})

test('a master that has failed, with nobody to take over, is waited for', async () => {
  const master = await cluster.masterOf(third)
  const replica = nodes.find(({ number }) => number === (master.number + 3) % 6) as ClusterProcess
  // A replica that counts as away isn't asked at all: nobody may find that out before this has asked.
  const [, timeoutMs = ''] = (await at(master, 'CONFIG', 'GET', 'cluster-node-timeout')) as string[]
  await atAll('CONFIG', 'SET', 'cluster-node-timeout', '600000')
  await replica.kill()
  assert.match(
    (await eventually(() => checkCluster(settings, 3))).warnings.join(),
    new RegExp(`its replica ${placeOf(replica)}, which can't be asked`),
  )
  for (const node of nodes) if (node !== replica) await at(node, 'CONFIG', 'SET', 'cluster-node-timeout', timeoutMs)
  await master.kill()
  const gone = refused(/^shard 2 .* whose master .* has failed, and no replica has taken over$/, 'HC_REDIS_UNAVAILABLE')
  await holdsAtLast(() => assert.rejects(checkCluster(settings, 3), gone))
})
