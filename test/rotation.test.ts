// Goal: sales follow each other without a gap, and codes of a closed sale can be purchased until their holds end.
// Method: a client that asks again and again, across several boundaries; the log says at what moment, by Redis' clock,
// each of its requests was decided.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { DecisionReader } from '../core/decisions.ts'
import type { Outcome } from '../core/outcomes.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, purchase } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const intervalMs = 4_000
/** As often is enough: a client without a pause costs a core until the boundary. */
const askedAgainMs = 10
const env = { APP_SALE_INTERVAL_SECONDS: String(intervalMs / 1_000), APP_HOLD_SECONDS: '60', APP_ITEM_NUMBER: '100000' }

/** What Redis decided, and when. */
async function decisionOf(worker: TestHttpWorker, reply: HttpReply): Promise<{ outcome: Outcome; nowMs: number }> {
  const [epoch, seq, n] = String(reply.headers['hotcakes-decision']).split('-')
  const { redis, keys } = worker.store
  const [entry] = await redis.xrangeBuffer(keys.log, `${epoch}-${seq}`, `${epoch}-${seq}`)
  const decision = new DecisionReader(entry?.[1][3] as Buffer)
  for (let place = 0; place <= Number(n); place++) assert.ok(decision.next())
  return { outcome: decision.outcome, nowMs: decision.nowMs }
}

test('at each boundary the next sale is open, and the codes of the last one stay redeemable', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  let code = ''
  const isHeld = async () => {
    const reply = await checkout(worker, 'keeper', `${await currentSale(worker)}-1`)
    if (reply.status === 200) code = codeOf(reply)
    return reply.status === 200 // not, if the boundary came in between
  }
  await eventually(isHeld)
  const sale = Number(code.split('-')[0])
  const closesAtMs = (sale + 1) * intervalMs

  // Of whichever sale is on: the one of the code may just have ended.
  const ahead = await eventually(async () => {
    const current = await currentSale(worker)
    const next = (await worker.store.listSales()).find((terms) => terms.sale === current + 1)
    const { nowMs } = await worker.store.logState()
    return nowMs < (current + 1) * intervalMs ? { current, next } : undefined
  })
  assert.equal(ahead.next?.opensAtMs, (ahead.current + 1) * intervalMs, 'it is listed before its boundary')

  for (let next = sale + 1; next <= sale + 2; next++) {
    // A second before the sale that precedes it begins, or as much later as the worker is late.
    const isListed = async () => (await worker.store.listSales()).some((terms) => terms.sale === next)
    await eventually(isListed, { what: `sale ${next} in Redis` })
    let reply = await checkout(worker, `first-${next}`, `${next}-1`)
    for (; reply.status !== 200; reply = await checkout(worker, `first-${next}`, `${next}-1`)) {
      await delay(askedAgainMs)
      assertProblem(reply, 404, 'sale_not_open')
      const decision = await decisionOf(worker, reply)
      assert.equal(decision.outcome, 'sale_not_open', 'and not sale_unlisted')
      assert.ok(decision.nowMs < next * intervalMs, 'no later than its boundary')
    }
    assert.ok((await decisionOf(worker, reply)).nowMs >= next * intervalMs)
    assertProblem(await checkout(worker, 'late', `${next - 1}-2`), 410, 'sale_closed')
  }
  const bought = await purchase(worker, code)
  assert.deepEqual([bought.status, bought.json?.['sale_id']], [200, sale], 'its hold outlives its sale')
  assert.ok((await decisionOf(worker, bought)).nowMs >= closesAtMs)
  assert.ok((await currentSale(worker)) >= sale + 2)

  const sales = await worker.store.listSales()
  for (const [n, terms] of sales.entries()) {
    if (n > 0) assert.equal(terms.opensAtMs, sales[n - 1]?.closesAtMs, 'no gap')
  }
})

test('the terms that a sale was opened with hold, whatever later workers are set to', async (t) => {
  const redis = await startRedis(t)
  const long = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
  const first = await startHttpWorker(t, redis, { env: { ...long, APP_ITEM_NUMBER: '5', APP_USER_LIMIT: '1' } })
  const second = await startHttpWorker(t, redis, { env: { ...long, APP_ITEM_NUMBER: '9', APP_USER_LIMIT: '2' } })
  const { json } = await second.http.get('/sale')
  assert.deepEqual([json?.['items'], json?.['user_limit']], [5, 1])
  const sale = await currentSale(first)
  assertProblem(await checkout(second, 'a', `${sale}-6`), 404, 'item_unknown')
  assert.equal((await checkout(second, 'a', `${sale}-5`)).status, 200)
  assertProblem(await checkout(second, 'a', `${sale}-4`), 409, 'user_limit_reached')
})
