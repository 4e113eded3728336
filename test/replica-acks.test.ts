// Goal: with APP_ACK=replica an HTTP worker answers when all replicas have the log entry, and not before.
// Method: real replicas, of one Redis and in a cluster, that are stopped for a while; this process is the primary.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { parseLogPosition } from '../core/log-position.ts'
import { homeShard } from '../core/rights.ts'
import { shardOf } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { type ClusterProcess, startRedisCluster } from './helpers/redis-cluster.ts'
import type { Scope } from './helpers/scope.ts'
import { openRedis, startRedis } from './helpers/services.ts'

const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ACK: 'replica' }
const [redis, replica] = await Promise.all([startRedis({ after }), startRedis({ after })])
const [leader, follower] = [await openRedis({ after }, redis.admin), await openRedis({ after }, replica.admin)]
await follower.config('SET', 'masterauth', redis.admin.password)
// Otherwise the first copy waits 5 s for further replicas.
await leader.config('SET', 'repl-diskless-sync-delay', 0)
await follow()
let nextItem = 0

async function follow(): Promise<void> {
  await follower.replicaof('127.0.0.1', redis.connection.port)
  await eventually(async () => /state=online/.test(await leader.info('replication')), { what: 'a replica' })
}

async function nextItemOf(worker: TestHttpWorker): Promise<string> {
  nextItem += 1
  return `${await currentSale(worker)}-${nextItem}`
}

/** Until the scope ends, or it is resumed. */
function pauseReplica(scope: Scope): () => void {
  const resume = (): void => void process.kill(replica.pid(), 'SIGCONT')
  process.kill(replica.pid(), 'SIGSTOP')
  scope.after(resume)
  return resume
}

/** So many were decided, and are not answered. */
async function untilWaiting(worker: TestHttpWorker, count: number): Promise<void> {
  const waiting = async () => metricValue(await worker.metrics(), 'hotcakes_commands_waiting') === count
  await eventually(waiting, { what: `${count} answers that wait` })
}

/** A worker's WAIT has begun and lasts. */
async function isWaitBlocked(): Promise<boolean> {
  return /name=\S+-replicas .*flags=b/.test(String(await leader.client('LIST')))
}

function entries(): Promise<number> {
  return follower.xlen('{hotcakes:0}:log')
}

async function replicasCheck(worker: TestHttpWorker): Promise<unknown> {
  const { json } = await worker.http.get('/readyz')
  return (json?.['checks'] as Record<string, unknown> | undefined)?.['replicas']
}

interface Watched {
  readonly reply: Promise<HttpReply>
  hasCome: boolean
}

/** Whether a reply has come: what it is asked of is still on its way. */
function watched(asked: Promise<HttpReply>): Watched {
  const watch: Watched = { reply: asked, hasCome: false }
  const mark = async (): Promise<HttpReply> => {
    const reply = await asked
    watch.hasCome = true
    return reply
  }
  return Object.assign(watch, { reply: mark() })
}

test('holds, rejections and purchases wait until the replica has them', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const item = await nextItemOf(worker)
  const code = await hold(worker, 'ann', item)
  assert.equal(await entries(), (await worker.store.logState()).backlogEntries, 'the replica has what was answered')

  const resume = pauseReplica(t)
  const before = (await worker.store.logState()).last
  const asked = [
    checkout(worker, 'bob', await nextItemOf(worker)),
    checkout(worker, 'eve', item),
    purchase(worker, code),
  ]
  const all = asked.map(watched)
  await untilWaiting(worker, 3)
  await eventually(async () => (await worker.store.logState()).last.seq > before.seq, { what: 'their decisions' })
  await eventually(isWaitBlocked, { what: 'a WAIT that lasts' })
  assert.deepEqual(
    all.map(({ hasCome }) => hasCome),
    [false, false, false],
  )
  resume()
  const replies = await Promise.all(all.map(({ reply }) => reply))
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 409, 200],
  )
  const { last } = await worker.store.logState()
  for (const { headers } of replies) {
    const place = String(headers['hotcakes-decision'])
    assert.ok(parseLogPosition(place.slice(0, place.lastIndexOf('-'))).seq <= last.seq)
  }
  assert.equal(await entries(), (await worker.store.logState()).backlogEntries)
})

test('past the deadline the answer is 503, and a retry gets the same hold once the replica has it', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const item = await nextItemOf(worker)
  const resume = pauseReplica(t)
  const late = await checkout(worker, 'ann', item)
  assertProblem(late, 503, 'unrecorded')
  assert.match(late.headers['retry-after'] ?? '', /^[1-3]$/)
  assert.equal(late.headers['hotcakes-decision'], undefined)
  assert.equal(metricValue(await worker.metrics(), 'hotcakes_faults_total', { code: 'HC_REPLICA_LATE' }), 1)
  assert.deepEqual(await replicasCheck(worker), { status: 'behind', awaited: 1 })
  const heard = () => worker.messages.findLast((message) => message.type === 'heartbeat')
  assert.equal(heard()?.seen, undefined, 'it was not answered')
  resume()
  assert.equal(typeof (await hold(worker, 'ann', item)), 'string')
  assert.deepEqual(await replicasCheck(worker), { status: 'complete', awaited: 1 })
  await eventually(() => heard()?.seen !== undefined)
})

test('when the connection that waits is cut the answer is 503, and the next one waits on another', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const resume = pauseReplica(t)
  const pending = checkout(worker, 'ann', await nextItemOf(worker))
  await untilWaiting(worker, 1)
  const clients = String(await leader.client('LIST'))
  const id = /^id=(\d+) .*name=\S+-replicas /m.exec(clients)?.[1] ?? ''
  await leader.client('KILL', 'ID', id)
  assertProblem(await pending, 503, 'unrecorded')
  resume()
  const item = await nextItemOf(worker)
  await eventually(async () => (await checkout(worker, 'ann', item)).status === 200, { what: 'an answer' })
})

test('a worker that drains answers those who wait before it closes', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const resume = pauseReplica(t)
  const pending = checkout(worker, 'ann', await nextItemOf(worker))
  await untilWaiting(worker, 1)
  worker.send({ type: 'drain' })
  await eventually(async () => {
    const reply = await worker.http.get('/readyz').catch(() => undefined)
    return reply?.status !== 200
  })
  resume()
  assert.equal((await pending).status, 200)
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
})

test('without a replica answers leave at once and readyz says so, until there is one', async (t) => {
  await follower.replicaof('NO', 'ONE')
  t.after(follow)
  await eventually(async () => /connected_slaves:0/.test(await leader.info('replication')))
  const worker = await startHttpWorker(t, redis, { env })
  await hold(worker, 'ann', await nextItemOf(worker))
  assert.deepEqual(await replicasCheck(worker), { status: 'none', awaited: 0 })
  // A worker that is late to answer its primary is not ready for that moment.
  await eventually(async () => (await worker.http.get('/readyz')).json?.['status'] === 'degraded')
  assert.equal(metricValue(await worker.metrics(), 'hotcakes_replicas_awaited'), 0)

  await follow()
  await eventually(async () => metricValue(await worker.metrics(), 'hotcakes_replicas_awaited') === 1)
  const resume = pauseReplica(t)
  const pending = watched(checkout(worker, 'bob', await nextItemOf(worker)))
  await untilWaiting(worker, 1)
  assert.equal(pending.hasCome, false)
  resume()
  assert.equal((await pending.reply).status, 200)
})

test('a right that is missing for it is named, and the worker waits for it', async (t) => {
  await leader.call('ACL', 'SETUSER', redis.connection.user, '-wait')
  t.after(() => leader.call('ACL', 'SETUSER', redis.connection.user, '+wait'))
  const worker = await startHttpWorker(t, redis, { env, awaitReady: false })
  const isRefused = () =>
    worker.messages.some((message) => {
      return message.type === 'waiting' && message.isRefused === true && /'wait'.*docs\/ACCESS\.md/.test(message.for)
    })
  await eventually(isRefused, { what: 'a worker that says what it lacks' })
})

test('by default nobody waits for replicas', async (t) => {
  const worker = await startHttpWorker(t, redis, { env: { ...env, APP_ACK: 'redis' } })
  pauseReplica(t)
  await hold(worker, 'ann', await nextItemOf(worker))
  assert.doesNotMatch(String(await leader.client('LIST')), /name=\S+-replicas /)
  assert.equal(await replicasCheck(worker), undefined)
})

/** Three masters with a replica each, and a worker of their three shards. */
async function startInCluster(scope: Scope) {
  const cluster = await startRedisCluster(scope, { masters: 3, replicas: 1 })
  const of = { connection: cluster.settings, admin: cluster.admin }
  const worker = await startHttpWorker(scope, of, { env: { ...env, APP_USER_LIMIT: '1' }, shards: 3 })
  const replicaOf = (shard: number) => cluster.nodes[3 + shard] as ClusterProcess
  const open = async (node: ClusterProcess) => {
    const connection = await cluster.open(node)
    scope.after(() => connection.disconnect())
    return connection
  }
  return { cluster, worker, replicaOf, open }
}

/** Some whose home that shard is: they take its items without a right of another one. */
function buyersOf(shard: number): string[] {
  const names = Array.from({ length: 100 }, (_, n) => `buyer-${n}`)
  return names.filter((name) => homeShard(name, 3) === shard)
}

// For both tests, one after the other: the second one leaves a replica behind that is marked FAIL.
const clustered = await startInCluster({ after })

test('a right that is lent arrives only after the replica of its lender knows', async () => {
  const { cluster, worker, replicaOf, open } = clustered
  // A replica that is marked FAIL is waited for no more: this one must not be, however long the steps take.
  const admins = await Promise.all(cluster.nodes.map(open))
  const usualMs = (await admins[0]?.config('GET', 'cluster-node-timeout')) as string[]
  for (const admin of admins) await admin.config('SET', 'cluster-node-timeout', 600_000)
  const sale = await currentSale(worker)
  const [user = assert.fail()] = buyersOf(1)
  const paused = replicaOf(1)
  const lends = async () => (await worker.stores[1]?.logState())?.last.seq
  const receives = async () => (await worker.stores[0]?.logState())?.last.seq
  const [lentBefore, receivedBefore] = [await lends(), await receives()]
  paused.pause()
  const pending = watched(checkout(worker, user, `${sale}-1`))
  await eventually(async () => (await lends()) !== lentBefore, { what: 'the loan' })
  await untilWaiting(worker, 1)
  assert.deepEqual([await receives(), pending.hasCome], [receivedBefore, false])
  paused.resume()
  const { status, text } = await pending.reply
  // Where the machine was busy for longer than the wait it was given up, and is asked for again.
  if (status !== 200) assert.equal((await checkout(worker, user, `${sale}-1`)).status, 200, text)
  assert.notEqual(await receives(), receivedBefore)
  assert.equal(cluster.nodes.length, 6)
  for (const admin of admins) await admin.config('SET', 'cluster-node-timeout', usualMs[1] ?? assert.fail())
})

test('in a cluster a replica that is only suspected counts, and one that is marked FAIL does not', async () => {
  const { cluster, worker, replicaOf, open } = clustered
  const sale = await currentSale(worker)
  const master = await open(cluster.nodes[0] as ClusterProcess)
  const isMarked = async () => {
    const nodes = String(await master.call('CLUSTER', 'NODES')).split('\n')
    return nodes.some((line) => line.startsWith(replicaOf(0).id) && /[ ,]fail[ ,]/.test(line))
  }
  replicaOf(0).pause()
  const first = 1 + 3 // that one has been taken
  let index = first
  await eventually(
    async () => {
      const user = buyersOf(shardOf(index, 3))[index] ?? assert.fail()
      const { status } = await checkout(worker, user, `${sale}-${index}`)
      if (status !== 200) return false
      // Of one shard after the other: each is answered, or its replica was marked.
      if (index % 3 === 1) assert.ok(await isMarked(), 'it was answered while the replica might have taken over')
      index += 1
      return index === first + 6
    },
    { what: 'answers of all shards' },
  )
  const { json } = await worker.http.get('/readyz')
  const checks = json?.['checks'] as { shards: { each: { replicas: unknown }[] } }
  assert.deepEqual(checks.shards.each[0]?.replicas, { status: 'none', awaited: 0 })
})
