// Goal: without Redis the worker answers 503 at once, and that a retry is safe; when Redis is back it goes on by itself,
// with what was acknowledged before.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { admitRun } from './helpers/admit-run.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, checkoutPath, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import { startRedis } from './helpers/services.ts'

const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
const awayMs = 5_000

test('with Redis away for five seconds it answers 503s, then it goes on where it was', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const code = await hold(worker, 'patient', `${sale}-1`)
  const connection = await openConnection(t, worker.port)
  // One that is silent for 8 s is closed, whatever becomes of Redis.
  const useConnection = async () => {
    await connection.send(requestText('GET', '/livez'))
    return (await connection.reply()).status === 200
  }

  await redis.stop()
  const until = performance.now() + awayMs
  for (let n = 0; performance.now() < until; n++) {
    const reply = await checkout(worker, `refused-${n}`, `${sale}-2`)
    assertProblem(reply, 503, 'unavailable')
    assert.match(String(reply.json?.['detail']), /[Rr]etry/)
    assert.ok(Number(reply.headers['retry-after']) >= 1)
    assertProblem(await purchase(worker, code), 503, 'unavailable')
    assertProblem(await worker.http.get('/sale'), 503, 'unavailable')
    const readiness = await worker.http.get('/readyz')
    assert.deepEqual([readiness.status, readiness.json?.['status']], [503, 'not_ready'])
    assert.ok(await useConnection())
  }
  const metrics = await worker.metrics()
  assert.ok(metricValue(metrics, 'hotcakes_requests_shed_total', { reason: 'redis_down' }) > 0)

  await redis.start()
  assert.ok(await useConnection())
  const isRefused = async () => (await purchase(worker, code)).json?.['code'] === 'recovering'
  await eventually(isRefused, { what: 'the refusal of a run that nobody has compared with Postgres' })
  await admitRun(worker.store)
  await eventually(async () => (await purchase(worker, code)).status === 200, { what: 'the purchase' })
  await eventually(async () => (await worker.http.get('/readyz')).status === 200, { what: 'readiness' })
  assert.ok(await useConnection())
  await hold(worker, 'later', `${sale}-2`)
  await connection.send(requestText('POST', checkoutPath('kept', `${sale}-3`)))
  assert.equal((await connection.reply()).status, 200, 'connections of clients were kept')
})

test('what a hung Redis leaves undecided is 503 in bounded time, and its retry finds what became of it', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const path = checkoutPath('hanging', `${sale}-1`)
  const connection = await openConnection(t, worker.port)
  process.kill(redis.pid(), 'SIGSTOP')
  try {
    await connection.send(requestText('POST', path))
    await eventually(() => connection.unread !== '', { what: 'an answer without Redis' })
    assertProblem(await connection.reply(), 503, 'unavailable')
    await eventually(async () => (await worker.http.get('/readyz')).status === 503)
    const faults = metricValue(await worker.metrics(), 'hotcakes_faults_total', { code: 'HC_REDIS_UNAVAILABLE' })
    assert.equal(faults, 1, 'one for the call, however many waited for it')
  } finally {
    process.kill(redis.pid(), 'SIGCONT')
  }

  await eventually(async () => (await worker.http.post(path)).status === 200, { what: 'the retry' })
  const { json } = await worker.http.get('/sale')
  assert.equal(json?.['held'], 1, 'the lost answer and the retry are one hold')
  assert.equal(codeOf(await worker.http.post(path)), codeOf(await worker.http.post(path)))
})

test('a worker that starts while Redis is away answers 503, and is ready when Redis is there', async (t) => {
  const redis = await startRedis(t)
  const first = await startHttpWorker(t, redis, { env })
  const code = await hold(first, 'early', `${await currentSale(first)}-1`)
  await redis.stop()
  const worker = await startHttpWorker(t, redis, { env, awaitReady: false })
  await eventually(async () => (await worker.http.get('/livez')).status === 200, { what: 'a listening worker' })
  assertProblem(await purchase(worker, code), 503, 'unavailable')
  assert.equal((await worker.http.get('/readyz')).status, 503)
  assert.ok(!worker.messages.some(({ type }) => type === 'ready'))
  await redis.start()
  await eventually(() => worker.messages.some(({ type }) => type === 'ready'), { what: 'ready' })
  await admitRun(first.store)
  const isPurchased = async () => (await purchase(worker, code)).status === 200
  await eventually(isPurchased, { what: 'the purchase' })

  await redis.stop()
  await redis.start()
  await admitRun(first.store)
  await eventually(isPurchased, { what: 'the worker to come back from a later loss as well' })
})

test('an emptied Redis gives no decisions until somebody claims it, then its sale is opened again', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  await worker.store.redis.flushall()
  assertProblem(await checkout(worker, 'a', `${sale}-1`), 503, 'unavailable')
  const { store } = worker
  await store.claimEpoch(2)
  const isOpen = async () => (await checkout(worker, 'a', `${sale}-1`)).status === 200
  await eventually(isOpen, { what: 'the sale to be opened again' })
})
