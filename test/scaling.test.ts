// Goal: a shop that sells from one Redis goes on with three masters, and nobody loses a hold or a purchase by it.
// Method: the steps of docs/SCALING.md, one after the other, on real processes: two servers, a Redis with its data, two more
// that are empty, the tool that makes a cluster of them.

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'

import { shardOf } from '../core/shards.ts'
import type { EmbeddedRedis } from '../ops/embedded/facts.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { type ClusterNode, createCluster, newPasswords, startClusterNode } from './helpers/cluster-nodes.ts'
import { eventually } from './helpers/eventually.ts'
import { hold, purchase } from './helpers/items.ts'
import { openPostgres } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { openRedis, servicesEnv, startPostgres, startRedis, type TestRedis } from './helpers/services.ts'

const shards = 3
const orderly = { code: 0, signal: null }
/** Above what stopping and starting everything takes on a busy machine: the holds have to live so long. */
const intervalSeconds = 60
/** Above what it takes to hold a dozen items. */
const leastSeconds = 10
const shop = { APP_WORKERS: '1', APP_ITEM_NUMBER: '90', APP_SALE_INTERVAL_SECONDS: String(intervalSeconds) }

interface PlainShop {
  readonly servers: readonly [Cluster, Cluster]
  readonly redis: TestRedis
  readonly folder: string
  readonly db: Awaited<ReturnType<typeof startPostgres>>['connection']
}

async function startServers(t: TestContext, env: Readonly<Record<string, string>>): Promise<[Cluster, Cluster]> {
  return await Promise.all([startCluster(t, { env }), startCluster(t, { env })])
}

async function openPlainShop(t: TestContext): Promise<PlainShop> {
  const folder = temporaryFolder(t)
  const [redis, postgres] = await Promise.all([startRedis(t, { folder }), startPostgres(t)])
  const servers = await startServers(t, {
    ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
    ...shop,
  })
  return { servers, redis, folder, db: postgres.connection }
}

/** The current sale, unless it may be over before a few items of it are held. */
async function saleWithTime({ http }: Cluster): Promise<number | undefined> {
  const { json, text } = await http.get('/sale')
  assert.ok(typeof json?.['id'] === 'number', text)
  return Date.parse(String(json['closes_at'])) - Date.now() > leastSeconds * 1_000 ? json['id'] : undefined
}

/** The codes of holds, and of a purchase: the first. */
async function holdSome([one, other]: readonly [Cluster, Cluster]): Promise<string[]> {
  const sale = await eventually(() => saleWithTime(one), { what: 'a sale with time left' })
  const codes = await Promise.all(
    Array.from({ length: 13 }, (_, at) => hold(at % 2 === 0 ? one : other, `user-${at}`, `${sale}-${at + 1}`)),
  )
  const { status, text } = await purchase(other, codes[0] ?? '')
  assert.equal(status, 200, text)
  return codes
}

async function stopBoth(servers: readonly [Cluster, Cluster]): Promise<void> {
  assert.deepEqual(await Promise.all(servers.map((server) => server.stop())), [orderly, orderly])
}

/** The first has the data that the shop goes on with. */
async function formOf(nodes: readonly ClusterNode[], passwords: ReturnType<typeof newPasswords>): Promise<void> {
  const { status, stderr } = await createCluster(nodes, { passwords, args: ['--shards', String(shards)] })
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /warning/)
}

async function startOnCluster(t: TestContext, { db, redis }: PlainShop, nodes: readonly ClusterNode[]) {
  const cluster = nodes.map(({ place }) => place).join(',')
  const connection: EmbeddedRedis = { ...redis.connection, host: '', cluster }
  const env = { ...servicesEnv({ redis: connection, db }), ...shop, APP_SHARDS: String(shards) }
  return await startServers(t, env)
}

async function redeemAll(codes: readonly string[], [one, other]: readonly [Cluster, Cluster]): Promise<void> {
  for (const [at, code] of codes.entries()) {
    const { status, text } = await purchase(at % 2 === 0 ? other : one, code)
    assert.equal(status, 200, text)
  }
}

async function assertAudited({ env }: Cluster): Promise<void> {
  const audit = await runAuditJson(env)
  assert.deepEqual(breachesIn(audit), {})
  assert.equal(audit.verdict, 'passed', audit.not_checked.join())
}

async function growToThreeMasters(t: TestContext): Promise<void> {
  const plain = await openPlainShop(t)
  const { redis, folder, db } = plain
  const codes = await holdSome(plain.servers)

  // The other nodes can be there long before.
  const passwords = { ...newPasswords(), service: redis.connection.password }
  const empty = await Promise.all([1, 2].map(() => startClusterNode(t, { passwords })))
  await stopBoth(plain.servers)
  await redis.stop()
  const first = await startClusterNode(t, { passwords, dataDir: folder, port: redis.connection.port })
  const nodes = [first, ...empty]
  await formOf(nodes, passwords)
  const servers = await startOnCluster(t, plain, nodes)

  await redeemAll(codes, servers)
  const record = openPostgres(t, db)
  const spread = await eventually(
    async () => {
      const sale = await saleWithTime(servers[0])
      if (sale === undefined) return undefined
      const [row] = record.query<{ shards: number }>('select shards from sales where sale_id = $1', [String(sale)])
      return row?.shards === shards ? sale : undefined
    },
    { what: 'a sale over three shards' },
  )
  for (const index of [1, 2, 3, 4, 5, 6]) {
    const [server = assert.fail()] = [servers[index % 2]]
    const held = await hold(server, 'cid', `${spread}-${index}`)
    const bought = await purchase(server, held)
    assert.equal(bought.status, 200, bought.text)
    const place = String(bought.headers['hotcakes-decision'])
    const shard = shardOf(index, shards)
    assert.match(place, shard === 0 ? /^\d+-/ : new RegExp(`^${shard}:`))
  }
  await assertAudited(servers[0])
  await stopBoth(servers)
}

async function growOnAnotherMachine(t: TestContext): Promise<void> {
  const plain = await openPlainShop(t)
  const { redis } = plain
  const codes = await holdSome(plain.servers)

  const folder = temporaryFolder(t)
  const copy = await startRedis(t, { folder })
  const admin = await openRedis(t, copy.admin)
  await admin.config('SET', 'masteruser', 'default', 'masterauth', redis.admin.password)
  await admin.replicaof(redis.connection.host, redis.connection.port)
  await eventually(async () => /master_link_status:up/.test(await admin.info('replication')), { what: 'the copy' })
  await stopBoth(plain.servers)
  const old = await openRedis(t, redis.admin)
  const hasAll = async () => {
    await old.ping() // WAIT asks for what its own connection has seen
    return (await old.wait(1, 500)) === 1
  }
  await eventually(hasAll, { what: 'the copy to have everything' })
  await redis.stop()
  await admin.replicaof('NO', 'ONE')
  await copy.stop()

  const passwords = { ...newPasswords(), service: redis.connection.password }
  const first = await startClusterNode(t, { passwords, dataDir: folder })
  const nodes = [first, ...(await Promise.all([1, 2].map(() => startClusterNode(t, { passwords }))))]
  await formOf(nodes, passwords)
  const servers = await startOnCluster(t, plain, nodes)
  await redeemAll(codes, servers)
  await assertAudited(servers[1])
  await stopBoth(servers)
}

// At once: both wait for leases to pass.
describe('from one Redis to a cluster', { concurrency: true }, () => {
  test(
    'two servers on one Redis go on with a cluster of three masters, and the next sale is spread over them',
    growToThreeMasters,
  )
  test('the data may move to another machine on the way, by replication', growOnAnotherMachine)
})
