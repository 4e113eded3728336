// Goal: a request that is malformed, absurd or made to break something harms none of those that arrive with it: what
// can be decided is decided and recorded, what is malformed gets its 400 and is counted.
// Method: hostile requests and good ones in the same instant, see same-instant.test.ts.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { DecisionReader } from '../core/decisions.ts'
import { NonceSource } from '../core/ids.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkoutPath, codeOf, currentSale, hold, purchasePath } from './helpers/items.ts'
import { postTogether } from './helpers/raw-http.ts'
import { startRedis } from './helpers/services.ts'

const items = 100
const redis = await startRedis({ after })
const worker = await startHttpWorker({ after }, redis, {
  env: { APP_ITEM_NUMBER: String(items), APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) },
})
const sale = await currentSale(worker)
const nonce = new NonceSource().next()

/** Path, status, code of the problem. */
type Case = readonly [path: string, status: number, code: string]

const malformed: readonly Case[] = [
  checkoutPath('a', '-1'),
  checkoutPath('a', `${sale}--1`),
  checkoutPath('a', `${sale}-${2n ** 63n}`),
  checkoutPath('a', `${2n ** 63n}-1`),
  checkoutPath('a', `${sale}-1e3`),
  checkoutPath('a', `${sale}-1:users`),
  checkoutPath('a', `${sale}-١`),
  checkoutPath('u'.repeat(900), `${sale}-1`),
  checkoutPath('u'.repeat(256), `${sale}-1`),
  checkoutPath('a b', `${sale}-1`),
  checkoutPath('a&b', `${sale}-1`),
  checkoutPath('<b>', `${sale}-1`),
  checkoutPath('a"b', `${sale}-1`),
  checkoutPath('a\\N', `${sale}-1`),
  checkoutPath("a'; drop table purchases; --", `${sale}-1`),
  checkoutPath('a\r\nSET x y', `${sale}-1`),
  checkoutPath('\0', `${sale}-1`),
  checkoutPath('', `${sale}-1`),
  '/checkout?user_id=%ff&id=1-1',
  `/checkout?user_id=${'x'.repeat(2_000)}`,
  purchasePath('-1'),
  purchasePath(`${sale}-1-${'x'.repeat(17)}`),
  purchasePath(`${sale}-1-{${nonce.slice(2)}}`),
].map((path) => [path, 400, 'invalid_request'])

const absurd: readonly Case[] = [
  [checkoutPath('a', `${sale}-0`), 404, 'item_unknown'],
  [checkoutPath('a', `${sale}-${items + 1}`), 404, 'item_unknown'],
  [checkoutPath('a', `${sale}-${2 ** 31}`), 404, 'item_unknown'],
  [checkoutPath('a', `${sale}-${'9'.repeat(15)}`), 404, 'item_unknown'],
  [checkoutPath('a', `${2 ** 31}-1`), 404, 'sale_not_open'],
  [checkoutPath('a', `${'9'.repeat(15)}-1`), 404, 'sale_not_open'],
  [checkoutPath('a', '0-0'), 410, 'sale_closed'],
  [purchasePath(`${sale}-1-${nonce}`), 404, 'code_unknown'],
  [purchasePath(`${sale}-${2 ** 31}-${nonce}`), 404, 'code_unknown'],
  [purchasePath(`${'9'.repeat(15)}-${'9'.repeat(15)}-${nonce}`), 404, 'code_unknown'],
  [purchasePath(`0-0-${nonce}`), 404, 'code_unknown'],
]

/** Users whose ids look like something else. All of them are well-formed. */
const goodUsers = ['a:b', '::', '@', '-', '.', '__proto__', 'constructor', 'null', '0', '-1', 'u'.repeat(64), 'NaN']

test('hostile requests harm none of the good ones that arrive in the same instant', async (t) => {
  const before = await worker.metrics()
  const code = await hold(worker, 'good', `${sale}-50`)
  const good = [...goodUsers.map((user, n) => checkoutPath(user, `${sale}-${n + 10}`)), purchasePath(code)]
  const hostile = [...malformed, ...absurd]
  // Interleaved, so that each good one has hostile neighbours on both sides.
  const paths = hostile.flatMap(([path], n) => [path, ...(good[n] === undefined ? [] : [good[n]])])
  const replies = await postTogether(t, worker, paths)

  const replyTo = (path: string) => {
    const reply = replies[paths.indexOf(path)]
    assert.ok(reply)
    return reply
  }
  for (const [path, status, problem] of hostile) assertProblem(replyTo(path), status, problem)
  for (const path of good) assert.equal(replyTo(path).status, 200, path)
  assert.ok(good.length < hostile.length)

  const decided = replies.filter(({ headers }) => headers['hotcakes-decision'] !== undefined)
  const entries = new Set(decided.map(({ headers }) => String(headers['hotcakes-decision']).replace(/-\d+$/, '')))
  assert.deepEqual([decided.length, entries.size], [good.length + absurd.length, 1], 'one batch of all that is decided')

  const metrics = await worker.metrics()
  const gained = (name: string, labels: Record<string, string>) =>
    metricValue(metrics, name, labels) - metricValue(before, name, labels)
  assert.equal(gained('hotcakes_http_requests_total', { status: '400' }), malformed.length)
  assert.equal(gained('hotcakes_outcomes_total', {}), good.length + absurd.length + 1)
})

test('what is absurd but decided is in the log, what is malformed is not', async (t) => {
  const { last: start } = await worker.store.logState()
  await postTogether(
    t,
    worker,
    [...malformed, ...absurd].map(([path]) => path),
  )
  const entries = await worker.store.redis.xrangeBuffer(worker.store.keys.log, `(${start.epoch}-${start.seq}`, '+')
  let decisions = 0
  for (const [, fields] of entries) {
    const reader = new DecisionReader(fields[3] as Buffer)
    while (reader.next()) decisions += 1
  }
  assert.equal(decisions, absurd.length)
})

test('a user id with colons owns what it holds, and nobody else does', async () => {
  const code = await hold(worker, 'x:y:z', `${sale}-60`)
  assertProblem(await worker.http.post(checkoutPath('x', `${sale}-60`)), 409, 'item_held')
  const again = await worker.http.post(`/checkout?user_id=x:y:z&item_id=${sale}-60`)
  assert.equal(codeOf(again), code)
  const bought = await worker.http.post(purchasePath(code))
  assert.equal(bought.json?.['user_id'], 'x:y:z')
})
