// Goal: whatever becomes of Redis' data, nothing is sold from less than what is on record, and what is on record is
// honoured: sold items, live holds and their codes, limits.
// Method: the real server. Redis is emptied, restarted, restored from an old copy; the same buyers come back.

import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import {
  assertAuditedAndStop,
  assertHonoured,
  linesWith,
  readiness,
  sellSome,
  startAll,
  startReplicated,
  untilRecovered,
  untilSelling,
} from './helpers/recovering-shop.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { openRedis, servicesEnv } from './helpers/services.ts'
import { runTool } from './helpers/tool.ts'

const recoverTool = fileURLToPath(new URL('../ops/tools/recover/main.js', import.meta.url))

async function recordStatus(cluster: Cluster): Promise<unknown> {
  return (await readiness(cluster))['record']?.['status']
}

test('a Redis that is emptied under a selling server is rebuilt from Postgres', async (t) => {
  const { redis, cluster } = await startAll(t)
  const told = await sellSome(cluster)
  await (await openRedis(t, redis.admin)).flushall()
  await untilRecovered(t, cluster, 1)
  await assertHonoured(cluster, told)
  assert.equal(linesWith(cluster, 'HC_LOG_LOST').length, 1, cluster.logLines().join('\n'))
  await assertAuditedAndStop(cluster)
})

test('a Redis that comes back without its disk is rebuilt from Postgres, also by a server that starts then', async (t) => {
  const { redis, cluster } = await startAll(t)
  const told = await sellSome(cluster)
  await redis.loseDisk()
  await redis.start()
  await untilRecovered(t, cluster, 1)
  await assertHonoured(cluster, told)
  assert.equal((await cluster.stop()).code, 0)

  await redis.loseDisk()
  await redis.start()
  const again = await startCluster(t, { env: cluster.env })
  await untilRecovered(t, again, 1)
  assert.equal((await purchase(again, told.bought)).text, told.receipt.text)
  await assertAuditedAndStop(again)
})

test('a Redis that is restarted with its log goes on where it was, in the next epoch, once Postgres was asked', async (t) => {
  const { redis, postgres, cluster } = await startAll(t)
  const told = await sellSome(cluster)
  await postgres.stop()
  await hold(cluster, 'dora', `${told.sale}-9`)
  await redis.stop()
  await redis.start()
  await eventually(async () => (await recordStatus(cluster)) === 'unverified', { what: 'that nobody knows' })
  const { fault } = (await readiness(cluster))['record'] ?? {}
  assert.ok(fault === undefined || fault === 'HC_POSTGRES_UNAVAILABLE', String(fault))
  assertProblem(await checkout(cluster, 'carl', `${told.sale}-8`), 503, 'recovering')

  await postgres.start()
  await untilSelling(cluster)
  assertProblem(await checkout(cluster, 'carl', `${told.sale}-9`), 409, 'item_held')
  const reply = await checkout(cluster, 'carl', `${told.sale}-8`)
  assert.match(String(reply.headers['hotcakes-decision']), /^2-/)
  await untilRecovered(t, cluster, 0)
  await assertAuditedAndStop(cluster)
})

test('a Redis that went back to an old copy is not sold from: it is rebuilt', async (t) => {
  const folder = temporaryFolder(t)
  const { redis, cluster } = await startAll(t, { folder })
  const [data, copy] = [join(folder, 'redis'), join(folder, 'copy')]
  await hold(cluster, 'zoe', `${await currentSale(cluster)}-7`)
  cpSync(data, copy, { recursive: true })
  const told = await sellSome(cluster)
  await redis.stop()
  rmSync(data, { recursive: true })
  cpSync(copy, data, { recursive: true })
  await redis.start()
  await untilRecovered(t, cluster, 1)
  assertProblem(await checkout(cluster, 'carl', `${told.sale}-7`), 409, 'item_held')
  assert.deepEqual((await cluster.http.get('/sale')).json?.['held'], 3)
  assert.equal((await purchase(cluster, told.held)).status, 200)
  assert.equal((await purchase(cluster, told.bought)).text, told.receipt.text)
  await assertAuditedAndStop(cluster)
})

test('a replica that has everything takes over while the connections stay: selling goes on in the next epoch', async (t) => {
  const { replica, address, leader, follower, cluster } = await startReplicated(t)
  const told = await sellSome(cluster)
  await leader.wait(1, 10_000)
  address.leadTo(replica.connection.port, 'stay')
  await follower.replicaof('NO', 'ONE')
  await leader.replicaof('127.0.0.1', replica.connection.port)
  await eventually(async () => (await checkout(cluster, 'carl', `${told.sale}-9`)).status === 200, { what: 'selling' })
  await untilRecovered(t, cluster, 0)
  await assertHonoured(cluster, told, { otherHolds: 1 })
  const reply = await checkout(cluster, 'carl', `${told.sale}-9`)
  assert.match(String(reply.headers['hotcakes-decision']), /^2-/)
  await assertAuditedAndStop(cluster)
})

test('a replica without the newest entries takes over: what it has is kept, and the rest is given up for ever', async (t) => {
  const { main, replica, postgres, address, leader, follower, cluster } = await startReplicated(t)
  const told = await sellSome(cluster)

  await postgres.stop()
  const replicated = await hold(cluster, 'dora', `${told.sale}-8`)
  await leader.wait(1, 10_000)
  await follower.replicaof('NO', 'ONE')
  const gone = await hold(cluster, 'emil', `${told.sale}-9`)
  assert.equal((await purchase(cluster, gone)).status, 200)
  await main.stop()
  address.leadTo(replica.connection.port)
  await postgres.start()

  await untilRecovered(t, cluster, 1)
  assertProblem(await purchase(cluster, gone), 404, 'code_unknown')
  assert.equal((await purchase(cluster, replicated)).status, 200)
  assert.equal((await purchase(cluster, told.bought)).text, told.receipt.text)
  // Its run was named to drain what it has, in an epoch that never began; the rebuild began the next.
  const reply = await checkout(cluster, 'carl', `${told.sale}-9`)
  assert.match(String(reply.headers['hotcakes-decision']), /^3-/)
  await assertAuditedAndStop(cluster)
})

test('with APP_RECOVERY=manual nothing is sold until somebody runs npm run recover', async (t) => {
  const { redis, cluster } = await startAll(t, { env: { APP_RECOVERY: 'manual' } })
  const told = await sellSome(cluster)
  const idle = await runTool(recoverTool, cluster.env)
  assert.deepEqual([idle.status, idle.stdout], [0, ''], idle.stderr)
  assert.match(idle.stderr, /nothing to do/)

  await redis.loseDisk()
  await redis.start()
  await eventually(async () => (await recordStatus(cluster)) === 'lost', { what: 'that it is lost' })
  assertProblem(await checkout(cluster, 'carl', `${told.sale}-1`), 503, 'recovering')
  // What an empty Redis says of an item is not told either; what is on record is.
  for (const path of ['/sale', '/items', `/items/${told.sale}-1`]) {
    // Each worker learns of it when it looks or is refused, within a second.
    await eventually(async () => (await cluster.http.get(path)).json?.['code'] === 'recovering', { what: path })
  }
  const recorded = async () => (await cluster.http.get(`/sales/${told.sale}`)).json?.['purchases']
  assert.equal(await eventually(recorded, { what: 'what is on record' }), 1) // a Postgres that is late is a 503
  assert.equal(linesWith(cluster, 'npm run recover').length, 1)
  const runs = await Promise.all([runTool(recoverTool, cluster.env), runTool(recoverTool, cluster.env)])
  for (const { status, stderr } of runs) assert.equal(status, 0, stderr)
  assert.ok(runs.some(({ stderr }) => /rebuilt 1 live sales with 1 items sold and 2 held/.test(stderr)))
  await untilRecovered(t, cluster, 0)
  await assertHonoured(cluster, told)
  await assertAuditedAndStop(cluster)
})

test('npm run recover says what it does, and leaves a Redis of another database alone', async (t) => {
  const help = await runTool(recoverTool, {}, ['--help'])
  assert.deepEqual([help.status, help.stderr], [0, ''])
  assert.match(help.stdout, /exit status/)
  const wrong = await runTool(recoverTool, {}, ['--now'])
  assert.equal(wrong.status, 3)

  const { redis, cluster } = await startAll(t)
  await sellSome(cluster)
  await cluster.stop()
  const other = await startAll(t)
  const env = { ...other.cluster.env, ...servicesEnv({ redis: redis.connection, db: other.postgres.connection }) }
  const refused = await runTool(recoverTool, env)
  assert.equal(refused.status, 1, refused.stderr)
  assert.match(refused.stderr, /HC_RECORD_FOREIGN/)
  await other.cluster.stop()
})
