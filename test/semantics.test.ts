// Goal: each row of the tables of outcomes, over real HTTP, and that a row wins over all the rows below it.
// Method: one HTTP worker on a real Redis; sales that are over or to come are opened by the test beside the worker's. What has to
// pass before a sale or a hold is over passes by Redis' clock alone, which only goes forward.
// Each test has items and users of its own, so their order does not matter.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { NonceSource } from '../core/ids.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { openRedis, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const items = 200
const userLimit = 3
const holdSeconds = 600
/** Far longer than the requests take that have to come before its end. */
const briefHoldSeconds = 30
// So long that no boundary falls into the run, and different, so that each worker has a sale of its own.
const intervalSeconds = 30 * 86_400
const briefIntervalSeconds = 29 * 86_400
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const redis = await startRedis({ after })
const worker = await startHttpWorker({ after }, redis, { env: settingsOf(intervalSeconds, holdSeconds) })
const sale = await currentSale(worker)
/** On the same Redis, with short holds. */
const brief = await startHttpWorker({ after }, redis, { env: settingsOf(briefIntervalSeconds, briefHoldSeconds) })
const briefSale = await currentSale(brief)
const clock = await stepRedisClock(await openRedis({ after }, redis.admin))
const nonces = new NonceSource()

let aheadMs = 0
async function pass(ms: number): Promise<void> {
  aheadMs += ms
  await clock.set(aheadMs)
}

function settingsOf(saleIntervalSeconds: number, holdFor: number): Record<string, string> {
  return {
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: String(userLimit),
    APP_HOLD_SECONDS: String(holdFor),
    APP_SALE_INTERVAL_SECONDS: String(saleIntervalSeconds),
  }
}

let nextIndex = 0
function newItem(ofSale = sale): string {
  nextIndex += 1
  assert.ok(nextIndex <= items)
  return `${ofSale}-${nextIndex}`
}

let nextUser = 0
function newUser(): string {
  nextUser += 1
  return `user-${nextUser}`
}

/** A user who has as many items as one may. */
async function userAtLimit(): Promise<string> {
  const user = newUser()
  for (let n = 0; n < userLimit; n++) await hold(worker, user, newItem())
  return user
}

/** A sale that opens and closes when the test says; numbers far from those that the worker opens. */
async function openSale(number: number, opensInMs: number, closesInMs: number): Promise<void> {
  const { nowMs } = await worker.store.logState()
  const times = { opensAtMs: nowMs + opensInMs, closesAtMs: nowMs + closesInMs }
  await worker.store.openSale(
    { sale: number, ...times, items, userLimit, holdMs: holdSeconds * 1_000, shards: 1 },
    86_400,
  )
}

function assertCheckedOut(reply: HttpReply, item: string): void {
  assert.equal(reply.status, 200, reply.text)
  assert.equal(reply.headers['content-type'], 'application/json')
  assert.deepEqual(Object.keys(reply.json ?? {}), ['code', 'item_id', 'sale_id', 'expires_at'])
  assert.deepEqual([reply.json?.['item_id'], reply.json?.['sale_id']], [item, Number(item.split('-')[0])])
  assert.match(codeOf(reply), new RegExp(`^${item}-[A-Za-z0-9_-]{16}$`))
  assert.match(String(reply.json?.['expires_at']), timestamp)
}

test('checkout 400: a parameter is missing or malformed', async () => {
  for (const query of ['', '?', '?user_id=a', `?id=${sale}-1`, `?user_id=a&id=${sale}`, `?user_id=%ff&id=${sale}-1`]) {
    assertProblem(await worker.http.post(`/checkout${query}`), 400, 'invalid_request')
  }
})

test('checkout 404 item_unknown: the sale has no such item, whether it is over, open or to come', async () => {
  await openSale(101, -2_000, -1_000)
  await openSale(102, 1_000_000, 2_000_000)
  for (const number of [sale, 101, 102]) {
    for (const index of ['0', items + 1, 2 ** 31, '9'.repeat(15)]) {
      assertProblem(await checkout(worker, newUser(), `${number}-${index}`), 404, 'item_unknown')
    }
  }
})

test('checkout 410 sale_closed: the sale is over, also for items that are sold or held', async () => {
  const user = newUser()
  await openSale(103, -1_000, 30_000)
  await purchase(worker, await hold(worker, user, '103-1'))
  await hold(worker, user, '103-2')
  await pass(30_000)
  for (const item of ['103-1', '103-2', '103-4']) {
    assertProblem(await checkout(worker, user, item), 410, 'sale_closed')
    assertProblem(await checkout(worker, newUser(), item), 410, 'sale_closed')
  }
  // Never opened here, or forgotten since.
  for (const number of [0, sale - 1]) {
    assertProblem(await checkout(worker, newUser(), `${number}-1`), 410, 'sale_closed')
  }
})

test('checkout 404 sale_not_open: the sale has not begun, whether or not it is listed already', async () => {
  await openSale(104, 1_000_000, 2_000_000)
  for (const number of [104, sale + 2, 2 ** 31, '9'.repeat(15)]) {
    assertProblem(await checkout(worker, newUser(), `${number}-1`), 404, 'sale_not_open')
  }
})

test('checkout 409 item_sold: for everybody, the buyer and a user at the limit included', async () => {
  const [buyer, item] = [newUser(), newItem()]
  await purchase(worker, await hold(worker, buyer, item))
  for (const user of [buyer, newUser(), await userAtLimit()]) {
    const reply = await checkout(worker, user, item)
    assertProblem(reply, 409, 'item_sold')
    assert.equal(reply.headers['retry-after'], undefined)
  }
})

test('checkout 200: the same user gets the same code and expiry again, at the limit as well', async () => {
  const [user, item] = [newUser(), newItem()]
  const first = await checkout(worker, user, item)
  assertCheckedOut(first, item)
  await hold(worker, user, newItem())
  await hold(worker, user, newItem())
  for (let n = 0; n < 3; n++) {
    const again = await checkout(worker, user, item)
    assert.deepEqual([again.status, again.text], [200, first.text])
  }
})

test('checkout 409 item_held: another user has it, and Retry-After says for how long at most', async () => {
  const item = newItem()
  await hold(worker, newUser(), item)
  for (const user of [newUser(), await userAtLimit()]) {
    const reply = await checkout(worker, user, item)
    assertProblem(reply, 409, 'item_held')
    const wait = Number(reply.headers['retry-after'])
    assert.ok(wait > holdSeconds - 60 && wait <= holdSeconds, String(wait))
  }
})

test('checkout 409 user_limit_reached: live holds and purchases count together, per user and sale', async () => {
  const user = newUser()
  await purchase(worker, await hold(worker, user, newItem()))
  for (let n = 1; n < userLimit; n++) await hold(worker, user, newItem())
  const free = newItem()
  assertProblem(await checkout(worker, user, free), 409, 'user_limit_reached')
  await openSale(105, -1_000, 1_000_000)
  assertCheckedOut(await checkout(worker, user, '105-1'), '105-1')
  assertCheckedOut(await checkout(worker, newUser(), free), free)
})

test('checkout 200: a free item is held for the time that the sale says', async () => {
  const item = newItem()
  const reply = await checkout(worker, newUser(), item)
  assertCheckedOut(reply, item)
  const { nowMs } = await worker.store.logState()
  const remainingMs = Date.parse(String(reply.json?.['expires_at'])) - nowMs
  assert.ok(remainingMs > (holdSeconds - 60) * 1_000 && remainingMs <= holdSeconds * 1_000, String(remainingMs))
})

test('a hold that expires gives back the item and the slot of its user', async () => {
  const user = newUser()
  const taken = [newItem(briefSale), newItem(briefSale), newItem(briefSale)]
  for (const item of taken) await hold(brief, user, item)
  const [first = ''] = taken
  assertProblem(await checkout(brief, user, newItem(briefSale)), 409, 'user_limit_reached')
  assertProblem(await checkout(brief, newUser(), first), 409, 'item_held')
  await pass(briefHoldSeconds * 1_000)
  await hold(brief, newUser(), first)
  await hold(brief, user, newItem(briefSale))
})

test('purchase 400: the code is missing or malformed', async () => {
  for (const query of ['', '?code=', `?code=${sale}-1`, `?code=${sale}-1-${'x'.repeat(15)}`, '?code=%00']) {
    assertProblem(await worker.http.post(`/purchase${query}`), 400, 'invalid_request')
  }
})

test('purchase 404 code_unknown: no hold ever had this code', async () => {
  const item = newItem()
  assertProblem(await purchase(worker, `${item}-${nonces.next()}`), 404, 'code_unknown')
  const code = await hold(worker, newUser(), item)
  assertProblem(await purchase(worker, `${item}-${nonces.next()}`), 404, 'code_unknown')
  // The right nonce for another item, another sale.
  const nonce = code.slice(item.length + 1)
  assertProblem(await purchase(worker, `${newItem()}-${nonce}`), 404, 'code_unknown')
  assertProblem(await purchase(worker, `${sale - 1}-1-${nonce}`), 404, 'code_unknown')
  assertProblem(await purchase(worker, `${sale}-${items + 1}-${nonce}`), 404, 'code_unknown')
})

test('purchase 200: it is sold, and the same code again gets the same bytes', async () => {
  const [user, item] = [newUser(), newItem()]
  const code = await hold(worker, user, item)
  const first = await purchase(worker, code)
  assert.equal(first.status, 200, first.text)
  assert.equal(first.headers['content-type'], 'application/json')
  const { purchased_at: purchasedAt, ...rest } = first.json ?? {}
  assert.deepEqual(rest, { status: 'purchased', item_id: item, sale_id: sale, user_id: user })
  assert.match(String(purchasedAt), timestamp)
  for (let n = 0; n < 3; n++) {
    const again = await purchase(worker, code)
    assert.deepEqual([again.status, again.text], [200, first.text])
  }
})

test('purchase 200 again: also when the hold would have expired since', async () => {
  const item = newItem(briefSale)
  const code = await hold(brief, newUser(), item)
  const first = await purchase(brief, code)
  await pass(briefHoldSeconds * 1_000)
  const again = await purchase(brief, code)
  assert.deepEqual([again.status, again.text], [200, first.text])
})

test('purchase 410 code_expired: its hold is over, before and after somebody else has taken the item', async () => {
  const item = newItem(briefSale)
  const [user, other] = [newUser(), newUser()]
  const code = await hold(brief, user, item)
  await pass(briefHoldSeconds * 1_000)
  assertProblem(await purchase(brief, code), 410, 'code_expired')
  const otherCode = await hold(brief, other, item)
  assertProblem(await purchase(brief, code), 410, 'code_expired')
  assert.equal((await purchase(brief, otherCode)).status, 200)
  assertProblem(await purchase(brief, code), 410, 'code_expired')
})

test('GET /sale says how the sale stands', async () => {
  const before = (await worker.http.get('/sale')).json ?? {}
  const item = newItem()
  const code = await hold(worker, newUser(), item)
  const held = (await worker.http.get('/sale')).json ?? {}
  await purchase(worker, code)
  const { held: heldAfter, sold, available, ...terms } = (await worker.http.get('/sale')).json ?? {}
  assert.equal(held['held'], Number(before['held']) + 1)
  assert.equal(held['available'], Number(before['available']) - 1)
  assert.deepEqual([heldAfter, sold], [before['held'], Number(before['sold']) + 1])
  assert.equal(available, items - Number(heldAfter) - Number(sold))
  assert.deepEqual(terms, {
    id: sale,
    opens_at: new Date(sale * intervalSeconds * 1_000).toISOString(),
    closes_at: new Date((sale + 1) * intervalSeconds * 1_000).toISOString(),
    items,
    user_limit: userLimit,
    hold_seconds: holdSeconds,
    first_item_id: `${sale}-1`,
    last_item_id: `${sale}-${items}`,
  })
})
