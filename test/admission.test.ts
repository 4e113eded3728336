// Goal: a run of Redis decides only while it keeps what it acknowledges and gives us all rights, whatever it holds. Neither
// is replicated, and both can be changed at any time.
// Method: the real server. A replica takes over whose settings or users are others; the settings of a selling one change.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { Cluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkout } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
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
import { openRedis } from './helpers/services.ts'

/** Nothing is decided, and `/readyz` and one line of the log say why. */
async function untilRefused(
  t: TestContext,
  cluster: Cluster,
  expected: { sale: number; fault: string; reason: RegExp },
): Promise<void> {
  const isRefused = async () => {
    const { status, fault } = (await readiness(cluster))['record'] ?? {}
    return status === 'refused' && fault === expected.fault
  }
  await eventually(isRefused, { what: `${expected.fault} in /readyz` })
  const { reason } = (await readiness(cluster))['record'] ?? {}
  assert.match(String(reason), expected.reason)
  // A worker that still has a connection to the Redis of before finds out with a 503 of its own.
  const isTurnedAway = async () => {
    const { status, json } = await checkout(cluster, 'zoe', `${expected.sale}-50`)
    statuses.add(status)
    return json?.['code'] === 'recovering'
  }
  const statuses = new Set<number>()
  await eventually(isTurnedAway, { what: 'that it is not sold from' })
  assert.deepEqual([...statuses], [503])
  assert.equal(refusals(cluster, expected.fault).length, 1, cluster.logLines().join('\n'))
  const metrics = await scrape(new HttpClient(t, { baseUrl: cluster.metricsUrl }))
  assert.equal(metrics.total('hotcakes_record_sound'), 0)
}

/** Lines of the log that say that nothing is sold. */
function refusals(cluster: Cluster, fault: string): string[] {
  return linesWith(cluster, fault).filter((line) => line.includes('Nothing is sold until'))
}

async function durability(t: TestContext, cluster: Cluster): Promise<number | undefined> {
  return (await scrape(new HttpClient(t, { baseUrl: cluster.metricsUrl }))).total('hotcakes_redis_durable')
}

test('a replica that takes over without an append-only file is not sold from until it has one', async (t) => {
  const { replica, address, leader, follower, cluster } = await startReplicated(t)
  const told = await sellSome(cluster)
  await leader.wait(1, 10_000)
  await follower.config('SET', 'appendonly', 'no')
  address.leadTo(replica.connection.port, 'stay')
  await follower.replicaof('NO', 'ONE')
  await leader.replicaof('127.0.0.1', replica.connection.port)
  await untilRefused(t, cluster, {
    sale: told.sale,
    fault: 'HC_REDIS_UNSUITABLE',
    reason: /appendonly is off.*set appendonly yes/,
  })
  assert.equal(await durability(t, cluster), 0)

  await follower.config('SET', 'appendonly', 'yes')
  await untilSelling(cluster)
  assert.equal(await durability(t, cluster), 1)
  await assertHonoured(cluster, told)
  await assertAuditedAndStop(cluster)
})

test('a replica that takes over with fewer rights for us is not sold from until it gives them', async (t) => {
  const { replica, address, leader, follower, cluster } = await startReplicated(t)
  const told = await sellSome(cluster)
  await leader.wait(1, 10_000)
  await follower.acl('SETUSER', replica.connection.user, '-sadd', '-hincrby')
  address.leadTo(replica.connection.port, 'stay')
  await follower.replicaof('NO', 'ONE')
  await leader.replicaof('127.0.0.1', replica.connection.port)
  await untilRefused(t, cluster, {
    sale: told.sale,
    fault: 'HC_REDIS_REFUSED',
    reason: /lacks the right to HINCRBY, SADD.*docs\/ACCESS\.md/,
  })

  await follower.acl('SETUSER', replica.connection.user, '+sadd', '+hincrby')
  await untilSelling(cluster)
  await assertHonoured(cluster, told)
  await assertAuditedAndStop(cluster)
})

test('a Redis that is made to forget, or to refuse us, while it sells is not sold from until that is undone', async (t) => {
  const { redis, cluster } = await startAll(t)
  const told = await sellSome(cluster)
  const admin = await openRedis(t, redis.admin)
  await admin.config('SET', 'appendonly', 'no')
  await untilRefused(t, cluster, { sale: told.sale, fault: 'HC_REDIS_UNSUITABLE', reason: /appendonly is off/ })
  await admin.config('SET', 'appendonly', 'yes')
  await untilSelling(cluster)

  await admin.config('SET', 'appendfsync', 'everysec')
  await eventually(async () => (await durability(t, cluster)) === 0, { what: 'the metric' })
  await untilSelling(cluster) // 503 also where the worker is late to say how it is
  assert.equal(refusals(cluster, 'HC_REDIS_UNSUITABLE').length, 1, 'that is weak, but allowed')
  assert.equal(linesWith(cluster, 'appendfsync is everysec').length, 1)
  await admin.config('SET', 'appendfsync', 'always')
  await eventually(async () => (await durability(t, cluster)) === 1, { what: 'the metric' })

  await admin.acl('SETUSER', redis.connection.user, '-hincrby')
  await untilRefused(t, cluster, { sale: told.sale, fault: 'HC_REDIS_REFUSED', reason: /lacks the right to HINCRBY/ })
  await admin.acl('SETUSER', redis.connection.user, '+hincrby')
  await untilSelling(cluster)
  await untilRecovered(t, cluster, 0)
  await assertHonoured(cluster, told)
  await assertAuditedAndStop(cluster)
})
