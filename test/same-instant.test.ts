// Goal: what arrives in the same instant, and so in one batch, is decided as if it had come one after the other.
// Method: the worker process is stopped while the requests are written, so that it takes them all in one turn of its
// event loop. The header Hotcakes-Decision shows that one batch decided them: the test is void without that.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { decodeUserEntry } from '../core/redis/user-entry.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkoutPath, codeOf, currentSale, hold, purchasePath } from './helpers/items.ts'
import { postTogether } from './helpers/raw-http.ts'
import { startRedis } from './helpers/services.ts'

const items = 1_000
const redis = await startRedis({ after })
const worker = await startHttpWorker({ after }, redis, {
  env: { APP_ITEM_NUMBER: String(items), APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) },
})
const sale = await currentSale(worker)

/** All decisions are of one log entry, each at a place of its own; answers how many they are. */
function assertOneBatch(replies: readonly HttpReply[]): number {
  const places = replies.map(({ headers }) => headers['hotcakes-decision']).filter((place) => place !== undefined)
  const entries = new Set(places.map((place) => String(place).split('-').slice(0, 2).join('-')))
  assert.equal(entries.size, 1, [...entries].join(', '))
  assert.equal(new Set(places).size, places.length)
  return places.length
}

test('two codes that are issued in the same instant differ', async (t) => {
  const paths = Array.from({ length: 30 }, (_, n) => checkoutPath(`together-${n % 5}`, `${sale}-${n + 1}`))
  const replies = await postTogether(t, worker, paths)
  assert.equal(assertOneBatch(replies), 30)
  assert.equal(new Set(replies.map((reply) => codeOf(reply).slice(-16))).size, 30)
})

test('of many who check out one item in the same instant, one gets it', async (t) => {
  const item = `${sale}-100`
  const replies = await postTogether(
    t,
    worker,
    Array.from({ length: 20 }, (_, n) => checkoutPath(`rival-${n}`, item)),
  )
  assert.equal(assertOneBatch(replies), 20)
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  for (const reply of replies) if (reply.status !== 200) assertProblem(reply, 409, 'item_held')
})

test('twenty redemptions of one code sell one item, and all get the same answer', async (t) => {
  const code = await hold(worker, 'redeemer', `${sale}-101`)
  const soldBefore = (await worker.http.get('/sale')).json?.['sold']
  const replies = await postTogether(t, worker, Array<string>(20).fill(purchasePath(code)))
  assert.equal(assertOneBatch(replies), 20)
  assert.deepEqual(
    new Set(replies.map(({ status, text }) => `${status} ${text}`)),
    new Set([`200 ${replies[0]?.text}`]),
  )
  assert.equal((await worker.http.get('/sale')).json?.['sold'], Number(soldBefore) + 1)
})

test('of fourteen checkouts by one user with limit 10, ten get their item; then all ten are purchased', async (t) => {
  const paths = Array.from({ length: 14 }, (_, n) => checkoutPath('collector', `${sale}-${n + 200}`))
  const replies = await postTogether(t, worker, paths)
  assert.equal(assertOneBatch(replies), 14)
  const held = replies.filter(({ status }) => status === 200)
  assert.equal(held.length, 10)
  for (const reply of replies) if (reply.status !== 200) assertProblem(reply, 409, 'user_limit_reached')

  // Each code twice, and four more items: purchases and checkouts of one user in one batch.
  const codes = held.map(codeOf)
  const purchases = [...codes, ...codes].map(purchasePath)
  const checkouts = Array.from({ length: 4 }, (_, n) => checkoutPath('collector', `${sale}-${n + 220}`))
  const answers = await postTogether(t, worker, [...checkouts.slice(2), ...purchases, ...checkouts.slice(0, 2)])
  assert.equal(assertOneBatch(answers), 24)
  assert.equal(answers.filter(({ status, json }) => status === 200 && json?.['status'] === 'purchased').length, 20)
  assert.equal(answers.filter(({ json }) => json?.['code'] === 'user_limit_reached').length, 4)
  const snapshot = await worker.store.snapshot(sale)
  const collector = decodeUserEntry(snapshot.users.get('collector') ?? Buffer.alloc(0), 0, 1)
  assert.deepEqual(collector, { purchases: 10, holdsExpireAtMs: [], rights: [] })
})

test('the codes of fourteen holds by two users are redeemed at once', async (t) => {
  const codes = await Promise.all(
    Array.from({ length: 14 }, (_, n) => hold(worker, `pair-${n % 2}`, `${sale}-${n + 300}`)),
  )
  const replies = await postTogether(t, worker, codes.map(purchasePath))
  assert.equal(assertOneBatch(replies), 14)
  assert.ok(replies.every(({ status }) => status === 200))
})

test('a large batch is counted as it was answered', async (t) => {
  const before = await worker.metrics()
  const paths = Array.from({ length: 150 }, (_, n) => checkoutPath(`crowd-${n}`, `${sale}-${n + 400}`))
  const replies = await postTogether(t, worker, paths)
  assert.equal(assertOneBatch(replies), 150)
  const metrics = await worker.metrics()
  const gained = (name: string, labels: Record<string, string>) =>
    metricValue(metrics, name, labels) - metricValue(before, name, labels)
  assert.equal(gained('hotcakes_http_requests_total', { route: '/checkout', status: '200' }), 150)
  assert.equal(gained('hotcakes_outcomes_total', { outcome: 'held' }), 150)
})
