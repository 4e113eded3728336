// Goal: a shard whose Redis is away stops nothing but the selling of its own items and what needs its word, and is missed by
// nobody once it is back.
// Method: HTTP workers on a real cluster of three masters, one of which is killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SaleStore } from '../core/redis/sale-store.ts'
import { homeShard } from '../core/rights.ts'
import { BoardView } from './helpers/board.ts'
import { comeBack } from './helpers/come-back.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { startRedisCluster } from './helpers/redis-cluster.ts'
import type { Scope } from './helpers/scope.ts'

const shards = 3
const env = {
  APP_ITEM_NUMBER: '90',
  APP_USER_LIMIT: '3',
  APP_HOLD_SECONDS: '600',
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
}

async function setUp(scope: Scope) {
  const cluster = await startRedisCluster(scope, { masters: shards })
  const redis = { connection: cluster.settings, admin: cluster.admin }
  const worker = await startHttpWorker(scope, redis, { env, shards })
  return { cluster, redis, worker, sale: await currentSale(worker) }
}

interface Checks {
  readonly redis: { readonly status: string }
  readonly shards: { readonly status: string; readonly each: { readonly shard: number; readonly status: string }[] }
}

async function readiness(worker: TestHttpWorker): Promise<{ code: number; status: unknown; checks: Checks }> {
  const { status: code, json } = await worker.http.get('/readyz')
  return { code, status: json?.['status'], checks: json?.['checks'] as Checks }
}

test('what belongs to a shard that is away waits, and everything else is sold', async (t) => {
  const { cluster, worker, sale } = await setUp(t)
  const code = await hold(worker, 'ann', `${sale}-2`)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.state(2) === 'held')
  const node = await cluster.masterOf(1)
  await node.kill()

  // A worker that is late to say how it is counts as not ready: then it is asked again.
  await eventually(
    async () => {
      const { code: httpCode, status, checks } = await readiness(worker)
      assert.deepEqual([httpCode, status, checks.redis.status], [200, 'degraded', 'down'])
      assert.equal(checks.shards.status, 'missing')
      assert.deepEqual(
        checks.shards.each.map((shard) => shard.status),
        ['degraded', 'not_ready', 'degraded'],
      )
      return true
    },
    { what: 'the lack of one shard' },
  )
  assertProblem(await checkout(worker, 'bob', `${sale}-5`), 503, 'unavailable')
  assertProblem(await purchase(worker, code), 503, 'unavailable')
  for (const index of [1, 3]) await hold(worker, 'bob', `${sale}-${index}`)
  assertProblem(await checkout(worker, 'bob', `${sale}-4`), 503, 'unavailable')
  const metrics = await worker.metrics()
  const metric = (name: string, labels = {}) => metricValue(metrics, `hotcakes_${name}`, labels)
  assert.equal(metric('rights_waiting'), 0)
  assert.deepEqual([metric('redis_away', { shard: 1 }), metric('redis_away')], [1, 1])
  assert.equal(metric('requests_shed_total', { reason: 'redis_down', shard: 1 }), 3, 'the loan that was needed as well')
  assert.equal(metric('requests_shed_total'), 3, 'and nothing else')
  await eventually(() => view.state(1) === 'held' && view.state(3) === 'held', { what: 'the rest on the board' })
  assert.deepEqual([view.missingShards, view.state(2), view.last?.held], [[1], 'available', 2])
  const { json } = await worker.http.get('/sale')
  assert.deepEqual([json?.['items'], json?.['held'], json?.['available'], json?.['missing_shards']], [90, 2, 58, [1]])

  await comeBack(node, worker.stores[1] as SaleStore)
  await eventually(async () => (await purchase(worker, code)).status === 200)
  await eventually(() => view.state(2) === 'sold' && view.state(3) === 'held', { what: 'all of it on the board' })
  assert.deepEqual(view.missingShards, [])
  await hold(worker, 'bob', `${sale}-4`)
  assertProblem(await checkout(worker, 'bob', `${sale}-7`), 409, 'user_limit_reached')
  await eventually(async () => (await worker.http.get('/sale')).json?.['missing_shards'] === undefined)
  await eventually(async () => (await readiness(worker)).checks.shards.status === 'complete')
})

test('a shard that hangs holds up nobody who does not need it', async (t) => {
  const { cluster, worker, sale } = await setUp(t)
  const node = await cluster.masterOf(2)
  node.pause()
  const stuck = checkout(worker, 'ann', `${sale}-3`)
  for (const index of [1, 2]) await hold(worker, 'ann', `${sale}-${index}`)
  assertProblem(await stuck, 503, 'unavailable')
  await eventually(async () => (await worker.http.get('/sale')).text.includes('"missing_shards":[2]'))
  node.resume()
  await eventually(async () => (await checkout(worker, 'ann', `${sale}-3`)).status === 200)
  assertProblem(await checkout(worker, 'ann', `${sale}-6`), 409, 'user_limit_reached')
})

test('a shard that is there and may not decide is out of reach on the board as well', async (t) => {
  const { worker, sale } = await setUp(t)
  await hold(worker, 'ann', `${sale}-2`)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.state(2) === 'held')
  worker.send({ type: 'record', shard: 1, report: { status: 'refused', fault: 'HC_RECORD_UNSOUND' } })
  await eventually(() => view.missingShards.includes(1) && view.last?.held === 0, { what: 'its absence' })
  worker.send({ type: 'record', shard: 1, report: { status: 'sound', epoch: { number: 1, after: null } } })
  await eventually(() => view.missingShards.length === 0 && view.state(2) === 'held', { what: 'its return' })
})

test('without the first shard a worker starts, learns the terms from the others, and sells what is theirs', async (t) => {
  const { cluster, redis, sale } = await setUp(t)
  const node = await cluster.masterOf(0)
  await node.kill()
  const worker = await startHttpWorker(t, redis, { env: { ...env, APP_ITEM_NUMBER: '7' }, shards, isAway: [0] })
  const isOneMissing = async () => {
    const { code, checks } = await readiness(worker)
    return code === 200 && checks.shards.each.filter((shard) => shard.status === 'not_ready').length === 1
  }
  await eventually(isOneMissing, { what: 'what the others have' })
  const user = Array.from({ length: 20 }, (_, n) => `user-${n}`).find((name) => homeShard(name, shards) === 1) ?? ''
  for (const index of [2, 3]) await hold(worker, user, `${sale}-${index}`)
  assertProblem(await checkout(worker, user, `${sale}-4`), 503, 'unavailable')
  // Only the first shard can say that nobody lists a sale.
  assertProblem(await checkout(worker, user, `${sale - 9}-2`), 503, 'unavailable')
  const { json } = await worker.http.get('/sale')
  assert.deepEqual([json?.['items'], json?.['held'], json?.['missing_shards']], [90, 2, [0]])

  const [store] = worker.stores as [SaleStore]
  await comeBack(node, store)
  await eventually(async () => (await checkout(worker, user, `${sale}-4`)).status === 200)
  assertProblem(await checkout(worker, user, `${sale}-7`), 409, 'user_limit_reached')
  assertProblem(await checkout(worker, user, `${sale - 9}-2`), 410, 'sale_closed')
})
