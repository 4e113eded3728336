// Goal: npm run cluster makes of empty nodes what a sale over several shards needs, says what is in the way, and may be run again.
// Method: real nodes with the users of ops/deploy/redis, and the tool as an operator runs it.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { listedNodes } from '../core/config/cluster-nodes.ts'
import { hostAndPort } from '../core/config/listen-hosts.ts'
import { slotOfShard } from '../core/redis/cluster-slot.ts'
import { type ClusterView, ownerOf } from '../core/redis/cluster-view.ts'
import { askNode, askView } from '../core/redis/connection.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { shardNumbers } from '../core/shards.ts'
import { formWithin } from '../ops/cluster/forming.ts'
import { setupUserName } from '../ops/embedded/redis.ts'
import { clusterFormingMsMax } from '../ops/limits.ts'
import { clusterCommand } from '../ops/tools/cluster/command.ts'
import {
  type ClusterNode,
  clusterTool,
  createCluster,
  newPasswords,
  startClusterNode,
} from './helpers/cluster-nodes.ts'
import { waiting } from './helpers/embedded-options.ts'
import { eventually, handedOver } from './helpers/eventually.ts'
import { refusalOf } from './helpers/refusal.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { openRedis, startRedis } from './helpers/services.ts'
import { runTool } from './helpers/tool.ts'

const passwords = newPasswords()

async function startNodes(t: TestContext, count: number): Promise<ClusterNode[]> {
  return await Promise.all(Array.from({ length: count }, () => startClusterNode(t, { passwords })))
}

async function viewOf({ place, admin }: ClusterNode): Promise<ClusterView> {
  const [address = assert.fail()] = listedNodes(place)
  return await askNode(admin, address, (redis) => askView(redis, address))
}

/** By shard: the number of the node that has it, as one of them says. */
async function placesOf(nodes: readonly ClusterNode[], asked: ClusterNode, shards: number) {
  const view = await viewOf(asked)
  return shardNumbers(shards).map((shard) => {
    const address = ownerOf(slotOfShard(shard), [view])?.node.address
    return nodes.findIndex(({ place }) => address !== undefined && place === hostAndPort(address.host, address.port))
  })
}

async function create(nodes: readonly ClusterNode[], ...args: string[]) {
  // A node that is late to answer once is asked again.
  const run = await createCluster(nodes, { passwords, args: ['--wait-seconds', '60', ...args] })
  for (const password of Object.values(passwords)) assert.ok(!(run.stdout + run.stderr).includes(password))
  return run
}

async function assertAllIsWell(nodes: readonly ClusterNode[], ...args: string[]): Promise<void> {
  const { status, stderr } = await create(nodes, ...args)
  assert.equal(status, 0, stderr)
  assert.match(stderr, /all is well/)
  assert.doesNotMatch(stderr, /warning/)
}

test('six empty nodes become three masters with a replica each, and the shards are spread over them', async (t) => {
  const nodes = await startNodes(t, 6)
  const { status, stderr } = await create(nodes, '--replicas', '1')
  assert.equal(status, 0, stderr)
  assert.match(stderr, /a cluster of 3 masters now/)
  assert.doesNotMatch(stderr, /warning/)
  for (const node of nodes) assert.deepEqual(await placesOf(nodes, node, 7), [0, 1, 2, 0, 1, 2, 0])
  const { nodes: known } = await viewOf(nodes[0] ?? assert.fail())
  const masterIds = known.flatMap(({ slots, id }) => (slots.length > 0 ? [id] : []))
  assert.deepEqual(
    known.flatMap(({ masterId }) => masterId ?? []).toSorted(),
    masterIds.toSorted(),
    'each has one replica',
  )
  await assertAllIsWell(nodes, '--replicas', '1')

  // After a failover they have changed their parts, and nothing is moved back.
  const replica = nodes[3] ?? assert.fail()
  const admin = await replica.open()
  // As all of them say: its old master may be the last to hear of it.
  const hasTakenOver = async () => {
    const places = await Promise.all(nodes.map((node) => placesOf(nodes, node, 1)))
    return places.every(([place]) => place === 3)
  }
  await handedOver(() => admin.call('CLUSTER', 'FAILOVER'), hasTakenOver)
  await assertAllIsWell(nodes, '--replicas', '1')
  assert.deepEqual(await placesOf(nodes, replica, 3), [3, 1, 2])
})

test('with more nodes it takes them in: unused shards go there, and those with data stay', async (t) => {
  const nodes = await startNodes(t, 3)
  const [first, second] = [nodes[0] ?? assert.fail(), nodes[1] ?? assert.fail()]
  const two = await create([first, second], '--shards', '4')
  assert.equal(two.status, 0, two.stderr)
  assert.match(two.stderr, /warning: shards 0, 2 are on one master/)
  await (await second.open()).hset(shardKeys(3).persister, 'text', 'it was used')

  const three = await create(nodes, '--shards', '4')
  assert.equal(three.status, 0, three.stderr)
  assert.deepEqual(await placesOf(nodes, first, 4), [0, 1, 0, 1], 'two each are few enough')
  const again = await create(nodes, '--shards', '3')
  assert.match(again.stderr, /shard 2, which nobody has used yet, is at .*; it was at/)
  assert.deepEqual(await placesOf(nodes, first, 4), [0, 1, 2, 1])
  await assertAllIsWell(nodes)
})

test('a node with the data of a Redis that was alone becomes a master and keeps them, wherever it is named', async (t) => {
  const dataDir = temporaryFolder(t)
  const alone = await startRedis(t, { folder: dataDir })
  await (await openRedis(t, alone.admin)).hset(shardKeys(0).persister, 'text', 'it was here before')
  await alone.stop()
  const nodes = [...(await startNodes(t, 1)), await startClusterNode(t, { passwords, dataDir })]
  const [empty = assert.fail(), full = assert.fail()] = nodes

  const { status, stderr } = await create(nodes, '--shards', '2')
  assert.equal(status, 0, stderr)
  assert.deepEqual(await placesOf(nodes, empty, 2), [1, 0])
  assert.equal(await (await full.open()).hget(shardKeys(0).persister, 'text'), 'it was here before')
  await assertAllIsWell(nodes)
})

test('what is in the way is said with the name of the node, and with status 1', async (t) => {
  const nodes = await startNodes(t, 3)
  const [one = assert.fail(), two = assert.fail(), three = assert.fail()] = nodes
  const plain = await startRedis(t)
  const refusals: [readonly { place: string }[], string[], RegExp][] = [
    [[one, two, three], ['--replicas', '1'], /3 nodes are no masters with 1 replica each: name 2, 4, 6/],
    [[one, { place: '127.0.0.1:1' }], [], /127\.0\.0\.1:1: .*ECONNREFUSED/],
    [[one, { place: `127.0.0.1:${plain.connection.port}` }], [], /127\.0\.0\.1:\d+: /],
  ]
  for (const [places, args, message] of refusals) {
    const { status, stderr } = await createCluster(places, { passwords, args })
    assert.equal(status, 1, stderr)
    assert.match(stderr, message)
  }
  const { user: REDIS_USER, password: REDIS_PASSWORD, port } = plain.admin
  const alone = ['create', '--nodes', `127.0.0.1:${port}`]
  const disabled = await runTool(clusterTool, { REDIS_USER, REDIS_PASSWORD }, alone)
  assert.equal(disabled.status, 1)
  assert.match(disabled.stderr, /127\.0\.0\.1:\d+: set cluster-enabled yes, and start it again/)
  const stranger = { ...passwords, setup: 'wrong' }
  assert.match((await createCluster([one], { passwords: stranger })).stderr, /HC_REDIS_REFUSED: .*WRONGPASS/)
  for (const node of nodes) assert.equal((await viewOf(node)).nodes.length, 1, 'nothing was done')

  assert.equal((await create([one, two])).status, 0)
  const part = await create([one])
  assert.equal(part.status, 1)
  assert.match(part.stderr, /lacks the data of one of its nodes .*: name all nodes of the cluster/)
})

test('a slip in the arguments has status 2', async () => {
  const slips: [string[], RegExp][] = [
    [['--nodes', 'a:1'], /say what to do: create/],
    [['create'], /--nodes is missing/],
  ]
  for (const [args, message] of slips) {
    const { status, stderr } = await runTool(clusterTool, {}, args)
    assert.equal(status, 2, stderr)
    assert.match(stderr, message)
  }
  const withNodes = ['create', '--nodes']
  assert.match(refusalOf(clusterCommand, [...withNodes, 'a']), /^--nodes entry 1: it has no port/)
  const shards = /^--shards must be a whole number from 1 to 64/
  assert.match(refusalOf(clusterCommand, [...withNodes, 'a:1', '--shards', '65']), shards)
})

test('a node that is late to answer fails a forming that has no time, and is waited for by one that has', async (t) => {
  const nodes = await startNodes(t, 2)
  const [first, late] = [nodes[0] ?? assert.fail(), nodes[1] ?? assert.fail()]
  const said: string[] = []
  const plan = {
    places: nodes.flatMap(({ place }) => listedNodes(place).map((address) => ({ name: place, address }))),
    account: { ...first.admin, user: setupUserName, password: passwords.setup },
    replicas: 0,
    shards: 2,
    lostAdvice: '',
    waiting: { ...waiting, say: (sentence: string) => void said.push(sentence) },
  }
  process.kill(late.pid, 'SIGSTOP')
  try {
    await assert.rejects(formWithin(plan, 0), { code: 'HC_REDIS_UNAVAILABLE' })
    said.length = 0
    const formed = formWithin(plan, clusterFormingMsMax)
    formed.catch(() => undefined) // it is awaited below
    await eventually(() => said[0]?.startsWith(`waiting for ${late.place}: `), { what: 'a word about the late one' })
    process.kill(late.pid, 'SIGCONT')
    assert.equal((await formed).masters, 2)
  } finally {
    process.kill(late.pid, 'SIGCONT')
  }
})
