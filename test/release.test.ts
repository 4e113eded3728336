// Goal: a hold that is given back frees its item and its user's slot in one step, and nothing that nobody gave back.
// Method: HTTP workers on a real Redis, one of a sale over three shards. What no worker sends in one batch or does not send yet
// (the buyer behind a code) goes to the function directly.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { NonceSource } from '../core/ids.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase, release, releasePath } from './helpers/items.ts'
import { postTogether } from './helpers/raw-http.ts'
import { commandTimeoutMs, openRedis, startRedis } from './helpers/services.ts'
import { Shop } from './helpers/shop.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const items = 200
const redis = await startRedis({ after })
// So long that no boundary falls into the run, and different, so that each worker has a sale of its own.
const worker = await startHttpWorker({ after }, redis, { env: settingsOf(30, 600) })
const sale = await currentSale(worker)
const brief = await startHttpWorker({ after }, redis, { env: settingsOf(29, 2) })
const briefSale = await currentSale(brief)
const nonces = new NonceSource()

/** One item to a user. */
function settingsOf(intervalDays: number, holdSeconds: number): Record<string, string> {
  return {
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: '1',
    APP_HOLD_SECONDS: String(holdSeconds),
    APP_SALE_INTERVAL_SECONDS: String(intervalDays * 86_400),
  }
}

let nextIndex = 0
function newItem(ofSale = sale): string {
  nextIndex += 1
  return `${ofSale}-${nextIndex}`
}

let nextUser = 0
function newUser(): string {
  nextUser += 1
  return `user-${nextUser}`
}

function assertReleased(reply: HttpReply, item: string, user: string): void {
  assert.equal(reply.status, 200, reply.text)
  assert.equal(reply.headers['content-type'], 'application/json')
  assert.match(String(reply.headers['hotcakes-decision']), /^(?:\d+:)?\d+-\d+-\d+$/)
  assert.deepEqual(reply.json, {
    status: 'released',
    item_id: item,
    sale_id: Number(item.split('-')[0]),
    user_id: user,
  })
}

async function standing(of: TestHttpWorker): Promise<unknown[]> {
  const { json } = await of.http.get('/sale')
  return [json?.['held'], json?.['sold']]
}

test('release 400: the code is missing, malformed or given twice', async () => {
  for (const query of ['', '?', '?code=', `?code=${sale}-1`, `?code=${sale}-1-${nonces.next()}x`, '?code=a&code=b']) {
    assertProblem(await worker.http.post(`/release${query}`), 400, 'invalid_request')
  }
  const wrong = await worker.http.get('/release')
  assertProblem(wrong, 405, 'method_not_allowed')
  assert.equal(wrong.headers['allow'], 'POST, OPTIONS')
})

test('release 200: the next checkout by anybody gets the item, and the user has a slot again', async () => {
  const [user, item, other] = [newUser(), newItem(), newItem()]
  const before = await standing(worker)
  const code = await hold(worker, user, item)
  assertProblem(await checkout(worker, user, other), 409, 'user_limit_reached')
  assertReleased(await release(worker, code), item, user)
  assert.deepEqual(await standing(worker), before)
  assert.equal((await worker.http.get(`/items/${item}`)).json?.['state'], 'available')
  await hold(worker, user, other)
  const taken = await hold(worker, newUser(), item)
  assert.notEqual(taken, code)
  assert.equal((await purchase(worker, taken)).status, 200)
})

test('release 200 again: the same bytes, until somebody has taken the item; from then on the code is unknown', async () => {
  const [user, item] = [newUser(), newItem()]
  const code = await hold(worker, user, item)
  const first = await release(worker, code)
  for (let n = 0; n < 3; n++) {
    const again = await release(worker, code)
    assert.deepEqual([again.status, again.text], [200, first.text])
  }
  assertProblem(await purchase(worker, code), 410, 'code_expired')
  // The same user's next hold of the same item is another one.
  const next = await hold(worker, user, item)
  assertProblem(await release(worker, code), 404, 'code_unknown')
  assertProblem(await purchase(worker, code), 404, 'code_unknown')
  assert.equal((await purchase(worker, next)).status, 200)
  assertProblem(await release(worker, code), 404, 'code_unknown')
})

test('release 404 code_unknown: no hold ever had this code', async () => {
  const item = newItem()
  assertProblem(await release(worker, `${item}-${nonces.next()}`), 404, 'code_unknown')
  const [user, code] = ['keeper', await hold(worker, 'keeper', item)]
  assertProblem(await release(worker, `${item}-${nonces.next()}`), 404, 'code_unknown')
  assertProblem(await release(worker, `${newItem()}-${code.slice(-16)}`), 404, 'code_unknown')
  assertProblem(await release(worker, `${sale - 1}-1-${code.slice(-16)}`), 404, 'code_unknown')
  assertProblem(await release(worker, `${sale}-${items + 1}-${code.slice(-16)}`), 404, 'code_unknown')
  assertReleased(await release(worker, code), item, user)
})

test('release 409 item_purchased: the code has bought its item, which stays sold', async () => {
  const [user, item] = [newUser(), newItem()]
  const code = await hold(worker, user, item)
  const bought = await purchase(worker, code)
  assertProblem(await release(worker, code), 409, 'item_purchased')
  assertProblem(await checkout(worker, newUser(), item), 409, 'item_sold')
  assert.equal((await purchase(worker, code)).text, bought.text)
})

test('release 410 code_expired: the hold is over, before and after somebody else has taken the item', async () => {
  const [user, other] = [newUser(), newUser()]
  const item = newItem(briefSale)
  const code = await hold(brief, user, item)
  // That a later hold is over shows that this one is, without touching it.
  const laterItem = newItem(briefSale)
  await hold(brief, newUser(), laterItem)
  const isOver = async () => (await checkout(brief, newUser(), laterItem)).status === 200
  await eventually(isOver, { what: 'an expired hold' })
  assertProblem(await release(brief, code), 410, 'code_expired')
  // On a busy machine the hold may be over before it is purchased: then it is taken once more.
  for (let status = 0; status !== 200; ) {
    const next = await checkout(brief, other, item)
    assertProblem(await release(brief, code), 410, 'code_expired')
    ;({ status } = await purchase(brief, codeOf(next)))
    assert.ok(status === 200 || Date.now() >= Date.parse(String(next.json?.['expires_at'])), `${status}`)
  }
})

/** A buyer's holds of the first two items of a sale that ends soon. On a busy machine it may be over before: then of the next. */
async function holdBeforeTheEnd(user: string, number: number): Promise<{ ending: number; codes: string[] }> {
  const { nowMs } = await worker.store.logState()
  const times = { opensAtMs: nowMs - 1_000, closesAtMs: nowMs + 1_500 }
  await worker.store.openSale({ sale: number, ...times, items, userLimit: 2, holdMs: 600_000, shards: 1 }, 86_400)
  const replies = [await checkout(worker, user, `${number}-1`), await checkout(worker, user, `${number}-2`)]
  const late = replies.find(({ status }) => status !== 200)
  if (late === undefined) return { ending: number, codes: replies.map(codeOf) }
  assertProblem(late, 410, 'sale_closed')
  return await holdBeforeTheEnd(user, number + 1)
}

test('a hold may be given back as long as it may be purchased, also when the sale is over', async () => {
  const user = 'late'
  const { ending, codes } = await holdBeforeTheEnd(user, 103)
  const [code = '', kept = ''] = codes
  await eventually(async () => (await checkout(worker, 'other', `${ending}-3`)).status === 410, {
    what: 'the end of the sale',
  })
  assertReleased(await release(worker, code), `${ending}-1`, user)
  assertProblem(await checkout(worker, 'other', `${ending}-1`), 410, 'sale_closed')
  assert.equal((await purchase(worker, kept)).status, 200)
})

test('in one batch a release frees the item and the slot for what comes after it, in the order of the batch', async () => {
  const shop = new Shop(worker.store, sale)
  const [ann, bob, cid] = [newUser(), newUser(), newUser()]
  const [first, second, third] = [newItem(), newItem(), newItem()].map((id) => Number(id.split('-')[1])) as [
    number,
    number,
    number,
  ]
  const held = await shop.decide([
    { item: first, user: ann },
    { item: third, user: cid },
  ])
  const [nonce = ''] = held.nonces
  const { outcomes, nonces: issued } = await shop.decide([
    { item: first, user: bob },
    { item: second, user: ann },
    { item: first, nonce, isRelease: true },
    { item: first, user: cid },
    { item: first, user: bob },
    { item: second, user: ann },
    { item: first, nonce, isRelease: true },
    { item: first, nonce },
  ])
  assert.deepEqual(outcomes, [
    'item_held',
    'user_limit_reached',
    'released',
    'user_limit_reached',
    'held',
    'held',
    'release_unknown',
    'code_unknown',
  ])
  const bought = await shop.decide([{ item: first, nonce: issued[4] ?? '' }])
  assert.deepEqual(bought.outcomes, ['purchased'])
})

test('of a purchase and a release of one code in one batch, the first counts', async () => {
  const shop = new Shop(worker.store, sale)
  for (const [isRelease, expected] of [
    [false, ['purchased', 'release_sold']],
    [true, ['released', 'code_expired']],
  ] as const) {
    const item = Number(newItem().split('-')[1])
    const [nonce = ''] = (await shop.decide([{ item, user: newUser() }])).nonces
    const { outcomes } = await shop.decide([
      { item, nonce, isRelease },
      { item, nonce, isRelease: !isRelease },
    ])
    assert.deepEqual(outcomes, expected)
  }
})

test('a code of another is told nothing, whatever has become of it, and nothing changes', async () => {
  const shop = new Shop(worker.store, sale)
  const [user, item] = [newUser(), Number(newItem().split('-')[1])]
  const [nonce = ''] = (await shop.decide([{ item, user }])).nonces
  const ofEve = [
    { item, nonce, buyer: 'eve' },
    { item, nonce, buyer: 'eve', isRelease: true },
  ]
  const refused = ['code_of_another', 'release_of_another']
  const own = { item, nonce, buyer: user }
  assert.deepEqual((await shop.decide(ofEve)).outcomes, refused)
  assert.deepEqual((await shop.decide([{ ...own, isRelease: true }, ...ofEve])).outcomes, ['released', ...refused])
  const [next = ''] = (await shop.decide([{ item, user }])).nonces
  assert.deepEqual((await shop.decide([{ ...own, nonce: next }])).outcomes, ['purchased'])
  const sold = ofEve.map((one) => ({ ...one, nonce: next }))
  assert.deepEqual((await shop.decide([...sold, { ...own, nonce: next }])).outcomes, [...refused, 'purchased_again'])
  // In one batch with a purchase that names no buyer, and is decided all the same.
  const [mine = ''] = (await shop.decide([{ item: item + 1, user: newUser() }])).nonces
  newItem()
  const mixed = await shop.decide([...sold.slice(0, 1), { item: item + 1, nonce: mine }])
  assert.deepEqual(mixed.outcomes, ['code_of_another', 'purchased'])
})

test('what comes in the same instant: one of many releases gives back, and a checkout of it may succeed', async (t) => {
  const [user, item] = [newUser(), newItem()]
  const code = await hold(worker, user, item)
  const paths = Array<string>(10).fill(releasePath(code))
  const replies = await postTogether(t, worker, paths)
  for (const reply of replies) assertReleased(reply, item, user)
  assert.equal(new Set(replies.map(({ headers }) => headers['hotcakes-decision'])).size, 10)
  const metrics = await worker.metrics()
  const count = (outcome: string) => metricValue(metrics, 'hotcakes_outcomes_total', { operation: 'release', outcome })
  assert.ok(count('released') >= 1 && count('released_again') >= 9)
  await hold(worker, user, item)
})

test('a clock that steps back brings no released hold to life', async (t) => {
  const own = await startRedis(t)
  const store = new SaleStore(own.connection, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  await store.claimEpoch(1)
  const clock = await stepRedisClock(await openRedis(t, own.admin))
  const { nowMs } = await store.logState()
  const times = { opensAtMs: nowMs - 1_000_000, closesAtMs: nowMs + 1_000_000 }
  await store.openSale({ sale: 1, ...times, items: 5, userLimit: 1, holdMs: 60_000, shards: 1 }, 86_400)
  const shop = new Shop(store, 1)
  const [nonce = ''] = (await shop.decide([{ item: 1, user: 'ann' }])).nonces
  await clock.set(30_000)
  assert.deepEqual((await shop.decide([{ item: 1, nonce, isRelease: true }])).outcomes, ['released'])
  for (const aheadMs of [10_000, -20_000, -2_000_000]) {
    await clock.set(aheadMs)
    const { outcomes } = await shop.decide([
      { item: 1, nonce },
      { item: 1, nonce, isRelease: true },
    ])
    assert.deepEqual(outcomes, ['code_expired', 'released_again'], String(aheadMs))
  }
  await clock.set(-20_000)
  assert.deepEqual((await shop.decide([{ item: 1, user: 'bob' }])).outcomes, ['held'])
})

test('over three shards a right comes back to the shard that has the hold, and goes where it is needed', async (t) => {
  const own = await startRedis(t)
  const sharded = await startHttpWorker(t, own, { shards: 3, env: settingsOf(30, 600) })
  const its = await currentSale(sharded)
  // Each item is of another shard than the one before.
  let code = await hold(sharded, 'roamer', `${its}-1`)
  for (let index = 2; index <= 7; index++) {
    assertProblem(await checkout(sharded, 'roamer', `${its}-${index}`), 409, 'user_limit_reached')
    assertReleased(await release(sharded, code), `${its}-${index - 1}`, 'roamer')
    code = await hold(sharded, 'roamer', `${its}-${index}`)
    await hold(sharded, `other-${index}`, `${its}-${index - 1}`)
  }
  assert.equal((await purchase(sharded, code)).status, 200)
  assertProblem(await release(sharded, code), 409, 'item_purchased')
  assertProblem(await checkout(sharded, 'roamer', `${its}-20`), 409, 'user_limit_reached')
})
