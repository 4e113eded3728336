// Goal: with APP_ACK=postgres an HTTP worker answers a purchase when its log entry is committed, and not before.
// Method: this process takes the places of the primary and of the persister: it says what is committed.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { type LogPosition, parseLogPosition } from '../core/log-position.ts'
import { publishCommitted } from '../core/redis/committed-channel.ts'
import { publishPersisterState } from '../core/redis/persister-state.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase, purchasePath } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { openRedis, startRedis } from './helpers/services.ts'

const redis = await startRedis({ after })
const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ACK: 'postgres' }
let nextItem = 0

/** A worker, and the code of a hold. */
async function startWithHold(scope: Scope): Promise<{ worker: TestHttpWorker; code: string }> {
  const worker = await startHttpWorker(scope, redis, { env })
  return { worker, code: await holdNext(worker) }
}

async function holdNext(worker: TestHttpWorker): Promise<string> {
  nextItem += 1
  return hold(worker, `user-${nextItem}`, `${await currentSale(worker)}-${nextItem}`)
}

async function untilWaiting(worker: TestHttpWorker, count: number): Promise<void> {
  const waiting = async () => metricValue(await worker.metrics(), 'hotcakes_answers_uncommitted') === count
  await eventually(waiting, { what: `${count} answers that wait` })
}

/** The persister has committed everything. */
async function commitAll({ store }: TestHttpWorker): Promise<LogPosition> {
  const { last } = await store.logState()
  await publishCommitted(store.redis, store.keys, last)
  return last
}

async function purchaseCommitted(worker: TestHttpWorker, code: string): Promise<HttpReply> {
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  await commitAll(worker)
  return pending
}

function entryOf(reply: HttpReply): LogPosition {
  const place = String(reply.headers['hotcakes-decision'])
  return parseLogPosition(place.slice(0, place.lastIndexOf('-')))
}

test('a purchase waits for its commit; holds and rejections do not', async (t) => {
  const { worker, code } = await startWithHold(t)
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  const again = purchase(worker, code)
  await untilWaiting(worker, 2)
  assertProblem(await checkout(worker, 'somebody', `${await currentSale(worker)}-${nextItem}`), 409, 'item_sold')
  await holdNext(worker)
  await untilWaiting(worker, 2)

  const last = await commitAll(worker)
  const [first, second] = await Promise.all([pending, again])
  assert.deepEqual([first.status, second.status, second.text], [200, 200, first.text])
  for (const reply of [first, second]) assert.ok(entryOf(reply).seq <= last.seq)
  await untilWaiting(worker, 0)
})

test('when the word of a commit is lost, the state of the persister stands in for it', async (t) => {
  const { worker, code } = await startWithHold(t)
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  const { store } = worker
  const { last: position } = await store.logState()
  await publishPersisterState(store.redis, store.keys, { state: 'active', position, host: 'here', pid: 1 })
  assert.equal((await pending).status, 200)
})

test('a worker hears of commits again after its connections were cut', async (t) => {
  const { worker, code } = await startWithHold(t)
  await (await openRedis(t, redis.admin)).client('KILL', 'TYPE', 'PUBSUB')
  const listeners = async () => (await worker.store.redis.publish(worker.store.keys.committed, '0-0')) === 1
  await eventually(listeners, { what: 'the worker to listen again' })
  assert.equal((await purchaseCommitted(worker, code)).status, 200)
})

/** A purchase that waits, and what the next epoch would be. */
async function startWithWaiting(t: Scope) {
  const { worker, code } = await startWithHold(t)
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  const { store } = worker
  const { last } = await store.logState()
  return { worker, code, pending, store, last, epoch: last.epoch + 1 }
}

test('in an epoch that follows on nothing those who waited get 503', async (t) => {
  const { worker, pending, store, epoch } = await startWithWaiting(t)
  await publishCommitted(store.redis, store.keys, { epoch, seq: 0 })
  worker.send({ type: 'record', report: { status: 'sound', epoch: { number: epoch, after: null } } })
  const reply = await pending
  assertProblem(reply, 503, 'unrecorded')
  assert.match(reply.headers['retry-after'] ?? '', /^[1-3]$/)
  assert.equal(reply.headers['hotcakes-decision'], undefined)
})

test('in an epoch that follows on theirs those who waited are answered, though the word of their commit is lost', async (t) => {
  const { worker, pending, store, last, epoch } = await startWithWaiting(t)
  worker.send({ type: 'record', report: { status: 'sound', epoch: { number: epoch, after: last } } })
  await publishCommitted(store.redis, store.keys, { epoch, seq: 1 })
  const reply = await pending
  assert.equal(reply.status, 200)
  assert.deepEqual(entryOf(reply).epoch, last.epoch)
})

test('past the deadline the answer is 503, and a retry after the commit gets the same purchase', async (t) => {
  const { worker, code } = await startWithHold(t)
  const late = await purchase(worker, code)
  assertProblem(late, 503, 'unrecorded')
  assert.equal(metricValue(await worker.metrics(), 'hotcakes_faults_total', { code: 'HC_COMMIT_LATE' }), 1)
  const reply = await purchaseCommitted(worker, code)
  assert.equal(reply.status, 200)
  assert.equal((await purchaseCommitted(worker, code)).text, reply.text)
})

test('an answer whose client has gone is forgotten with the others of its entry', async (t) => {
  const { worker, code } = await startWithHold(t)
  const client = await openConnection(t, worker.port)
  await client.send(requestText('POST', purchasePath(code)))
  const answered = client.reply().then(
    ({ status, text }) => assert.fail(`the answer did not wait: ${status} ${text}`),
    () => undefined, // it is destroyed below
  )
  await Promise.race([untilWaiting(worker, 1), answered])
  client.destroy()
  const left = async () => metricValue(await worker.metrics(), 'hotcakes_http_requests_total', { status: 499 }) === 1
  await eventually(left)
  await commitAll(worker)
  await untilWaiting(worker, 0)
  assert.equal((await purchaseCommitted(worker, code)).status, 200)
})

test('a worker that drains answers those who wait before it closes', async (t) => {
  const { worker, code } = await startWithHold(t)
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  worker.send({ type: 'drain' })
  await eventually(() => assert.rejects(openConnection(t, worker.port), { code: 'ECONNREFUSED' }).then(() => true))
  await commitAll(worker)
  const reply = await pending
  assert.deepEqual([reply.status, reply.headers['connection']], [200, 'close'])
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
})

test('a worker whose primary is gone gives up those who wait, because nobody drains the log any more', async (t) => {
  const { worker, code } = await startWithHold(t)
  const pending = purchase(worker, code)
  await untilWaiting(worker, 1)
  worker.process.disconnect()
  assertProblem(await pending, 503, 'unrecorded')
  assert.deepEqual(await worker.exited, { code: 1, signal: null })
})

test('by default nobody waits for Postgres', async (t) => {
  const worker = await startHttpWorker(t, redis, { env: { ...env, APP_ACK: 'redis' } })
  assert.equal((await purchase(worker, await holdNext(worker))).status, 200)
})
