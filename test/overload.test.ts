// Goal: a worker whose Redis has become slow answers 503 at once instead of letting requests wait, and each request is
// either decided once or not at all.
// Method: Redis is paused for half a second while a crowd wants items. Afterwards every 200 is a hold in Redis with a
// place of its own in the log, and every item whose checkout was turned away is free.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_DEADLINE_MS: '200', APP_ITEM_NUMBER: '1000000' }
/** Above the deadline, and far below what a worker waits for Redis. */
const pauseMs = 500
const buyers = 48
const lateBuyers = 8

test('with a slow Redis it answers 503 at once, and whatever was decided was decided once', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const replies: HttpReply[] = []
  const items: string[] = []
  const state = { isEnough: false }
  const buy = async () => {
    while (!state.isEnough) {
      const item = `${sale}-${items.length + 1}`
      const at = items.push(item) - 1
      replies[at] = await checkout(worker, `user-${item}`, item)
    }
  }
  const crowd = Array.from({ length: buyers }, buy)
  const shed = async (reason: string) => metricValue(await worker.metrics(), 'hotcakes_requests_shed_total', { reason })

  await eventually(
    async () => {
      if ((await shed('overloaded')) > 0 && (await shed('late')) > 0) return true
      await worker.store.redis.client('PAUSE', pauseMs, 'ALL')
      // All the others may wait for a call that is out. These come after it, so they wait in the queue; on a busy machine some
      // come too late for it, and others follow in the next pause.
      for (let n = 0; n < lateBuyers; n++) crowd.push(buy())
      await delay(pauseMs)
      return false
    },
    { what: 'a request turned away, and a command that got late in the queue' },
  )
  const before = replies.filter((reply) => reply?.status === 200).length
  const held = () => replies.filter((reply) => reply?.status === 200)
  await eventually(() => held().length > before + buyers, { what: 'selling to go on' })
  state.isEnough = true
  await Promise.all(crowd)

  for (const reply of replies) {
    if (reply.status === 200) continue
    assertProblem(reply, 503, 'overloaded')
    assert.ok(Number(reply.headers['retry-after']) >= 1)
  }
  const places = held().map(({ headers }) => headers['hotcakes-decision'])
  assert.equal(new Set(places).size, places.length)
  const snapshot = await worker.store.snapshot(sale)
  const sold = items.flatMap((item, at) => (replies[at]?.status === 200 ? [item.split('-')[1]] : []))
  assert.deepEqual(new Set(snapshot.items.keys()), new Set(sold))
  const decisions = [...snapshot.counts.values()].reduce((sum, count) => sum + count, 0)
  assert.equal(decisions, sold.length)
  t.diagnostic(`${replies.length} checkouts, ${sold.length} of them decided`)

  const turnedAway = items.find((_, at) => replies[at]?.status === 503)
  assert.ok(turnedAway !== undefined)
  // On a busy machine this one may come too late as well.
  const isFree = async () => (await checkout(worker, 'again', turnedAway)).status === 200
  await eventually(isFree, { what: 'a hold of an item whose checkout was turned away' })
})
