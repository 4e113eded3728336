// Goal: a Redis that comes to the end of its memory is not sold on: first it is left alone, and if it is full all the same,
// its refusal is a 503 of which nothing remains.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventually } from './helpers/eventually.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }

async function usedBytes({ store }: TestHttpWorker): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await store.redis.info('memory'))?.[1])
}

async function setMaxMemory({ store }: TestHttpWorker, bytes: number): Promise<void> {
  await store.redis.config('SET', 'maxmemory', Math.round(bytes))
}

async function isLeftAlone({ http }: TestHttpWorker): Promise<boolean> {
  const { status, json } = await http.get('/readyz')
  const checks = json?.['checks'] as { log: { status: string } } | undefined
  return status === 503 && checks?.log.status === 'memory_full'
}

test('with nine tenths of its memory used nothing more is taken in, until there is room', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const code = await hold(worker, 'a', `${sale}-1`)

  await setMaxMemory(worker, (await usedBytes(worker)) * 1.05)
  await eventually(() => isLeftAlone(worker), { what: 'not ready' })
  const before = await worker.store.logState()
  assertProblem(await checkout(worker, 'a', `${sale}-2`), 503, 'backlog_full')
  assertProblem(await purchase(worker, code), 503, 'backlog_full')
  assert.deepEqual((await worker.store.logState()).last, before.last)
  const shed = metricValue(await worker.metrics(), 'hotcakes_requests_shed_total', { reason: 'memory_full' })
  assert.equal(shed, 2)

  await setMaxMemory(worker, (await usedBytes(worker)) * 4)
  await eventually(async () => (await purchase(worker, code)).status === 200, { what: 'the purchase' })
  await hold(worker, 'a', `${sale}-2`)
})

test('a batch that a full Redis refuses is 503, and nothing of it is done', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  await hold(worker, 'a', `${sale}-1`)
  const before = await worker.store.snapshot(sale)

  // At once, not at the next look.
  await setMaxMemory(worker, 1)
  const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => checkout(worker, 'b', `${sale}-${n + 2}`)))
  for (const reply of replies) {
    const code = reply.json?.['code'] === 'backlog_full' ? 'backlog_full' : 'unavailable'
    assertProblem(reply, 503, code)
    assert.ok(Number(reply.headers['retry-after']) >= 1)
  }
  await eventually(() => isLeftAlone(worker), { what: 'not ready' })

  await setMaxMemory(worker, 0)
  const after = await worker.store.snapshot(sale)
  for (const part of ['last', 'items', 'users', 'counts'] as const) assert.deepEqual(after[part], before[part], part)
  await eventually(async () => (await checkout(worker, 'b', `${sale}-2`)).status === 200, { what: 'a checkout' })
})
