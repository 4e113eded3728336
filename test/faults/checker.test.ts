// Goal: the checker finds nothing wrong in a right run, and finds every wrong that is planted in one.
// Method: shoppers at a real server; what they saw and what the stores hold is the evidence. Each test changes it in one
// way, as a faulty server would have, and names the promise that must come out as broken.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import { startCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { currentSale } from '../helpers/items.ts'
import { seed } from '../helpers/seed.ts'
import { servicesEnv, startPostgres, startRedis } from '../helpers/services.ts'
import { judge } from './checker.ts'
import {
  type AnsweredRequest,
  type AttemptRow,
  comparePlaces,
  type Evidence,
  formatPlace,
  isAnswered,
  type Place,
  type PurchaseRow,
  type SentRequest,
} from './evidence.ts'
import type { Promised } from './findings.ts'
import { gatherFromStores } from './gather.ts'
import { RecordedClient } from './recorded-client.ts'
import { Shoppers } from './shoppers.ts'

const intervalMs = 30 * 86_400_000
const items = 300

const right = await recordARun()

async function recordARun(): Promise<Evidence> {
  const redis = await startRedis({ after })
  const postgres = await startPostgres({ after })
  const env = {
    ...servicesEnv({ db: postgres.connection, redis: redis.connection }),
    APP_SALE_INTERVAL_SECONDS: String(intervalMs / 1_000),
    APP_ITEM_NUMBER: String(items),
    APP_HOLD_SECONDS: '1',
    APP_USER_LIMIT: '2',
  }
  const cluster = await startCluster({ after }, { env })
  const client = new RecordedClient({ after }, { baseUrl: cluster.baseUrl, connections: 16 })
  const shoppers = new Shoppers({ client, sale: { id: await currentSale(cluster), items }, users: 200, seed })
  const shopping = shoppers.start(16)
  await eventually(() => client.history.length >= 2_000, { what: '2,000 requests' })
  await shopping.stop()
  await cluster.stop()

  const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes test' })
  after(() => store.close())
  await store.connect()
  const database = new AsyncPostgres(postgres.connection, { applicationName: 'hotcakes test' })
  after(() => database.close())
  const { history, looks } = client
  return { history, looks, ...(await gatherFromStores(database, store)), losses: [], ack: 'redis' }
}

function assertBroken(promise: Promised, evidence: Partial<Evidence>): void {
  const { breaches } = judge({ ...right, ...evidence }, intervalMs)
  const found = new Set(breaches.map((breach) => breach.promise))
  assert.ok(found.has(promise), `not found: ${promise}; found: ${[...found].join()} (SEED=${seed})`)
}

/** The row, or rows, of a place exchanged for what `change` makes of it. */
function rowsWith(place: Place, change: (row: AttemptRow) => readonly AttemptRow[]): AttemptRow[] {
  return right.attempts.flatMap((row) => (comparePlaces(row, place) === 0 ? change(row) : [row]))
}

function historyWith(request: SentRequest, changes: Partial<SentRequest>): SentRequest[] {
  return right.history.map((one) => (one === request ? { ...one, ...changes } : one))
}

/** The first answered request whose row has one of the outcomes. */
function answered(...wanted: readonly AttemptRow['outcome'][]): { request: AnsweredRequest; row: AttemptRow } {
  const rows = new Map(right.attempts.map((row) => [formatPlace(row), row]))
  for (const request of right.history) {
    const row = isAnswered(request) ? rows.get(formatPlace(request.answer.place)) : undefined
    if (isAnswered(request) && row !== undefined && wanted.includes(row.outcome)) return { request, row }
  }
  throw new Error(`nothing was ${wanted.join(' or ')} (SEED=${seed})`)
}

function purchaseOf(row: AttemptRow): PurchaseRow {
  const found = right.purchases.find((purchase) => comparePlaces(purchase, row) === 0)
  assert.ok(found)
  return found
}

test('a right run breaks no promise, and has a bit of everything', () => {
  const judgement = judge(right, intervalMs)
  assert.deepEqual(judgement.breaches, [])
  assert.equal(judgement.decisions, right.attempts.length)
  assert.equal(judgement.answered, right.history.length)
  assert.ok(right.looks.some(({ state }) => state === 'sold'))
  const outcomes = new Set(right.attempts.map(({ outcome }) => outcome))
  for (const outcome of ['held', 'held_again', 'item_sold', 'item_held', 'user_limit_reached', 'item_unknown'] as const)
    assert.ok(outcomes.has(outcome), outcome)
  for (const outcome of ['purchased', 'purchased_again', 'code_unknown'] as const)
    assert.ok(outcomes.has(outcome), outcome)
})

test('an oversell is found: an item is sold to a second buyer', () => {
  const { row } = answered('purchased')
  const { row: other } = answered('item_sold', 'item_held')
  const again = { ...row, epoch: other.epoch, seq: other.seq, n: other.n, user: other.user, nonce: 'another_nonce_16' }
  const attempts = rowsWith(other, () => [again])
  assertBroken('item_sold_twice', { attempts })
  assertBroken('rules_broken', { attempts })
})

test('an oversell is found: more is sold than there is', () => {
  assertBroken('stock_passed', { sales: right.sales.map((terms) => ({ ...terms, items: right.purchases.length - 1 })) })
})

test('a breach of the limit is found', () => {
  const { row } = answered('purchased')
  const { userLimit = 0 } = right.sales[0] ?? {}
  const others = new Set(right.attempts.filter((one) => one.outcome === 'purchased').slice(0, userLimit + 1))
  const attempts = right.attempts.map((one) => (others.has(one) ? { ...one, user: row.user } : one))
  assertBroken('limit_passed', { attempts })
  assertBroken('rules_broken', { attempts })
})

test('a hold beyond the limit is found, though nothing is bought with it', () => {
  const { request, row } = answered('user_limit_reached')
  const answer = { ...request.answer, verdict: 'accepted', nonce: 'another_nonce_16', atMs: 1 } as const
  assertBroken('rules_broken', {
    history: historyWith(request, { answer }),
    attempts: rowsWith(row, (found) => [{ ...found, outcome: 'held', nonce: answer.nonce, expiresAtMs: 1 }]),
  })
})

test('a lost row is found, of a purchase and of a rejection', () => {
  const { row } = answered('purchased')
  assertBroken('purchase_missing', { attempts: rowsWith(row, () => []) })
  const { row: rejected } = answered('item_held', 'item_sold')
  assertBroken('answer_missing', { attempts: rowsWith(rejected, () => []) })
  assertBroken('redis_differs', { attempts: rowsWith(rejected, () => []) })
})

test('a lost row is found where nobody was answered: its place is missing', () => {
  const { request, row } = answered('item_held', 'item_sold')
  assertBroken('place_missing', {
    history: historyWith(request, { answer: 'unknown' }),
    attempts: right.attempts.filter(({ epoch, seq }) => epoch !== row.epoch || seq !== row.seq),
  })
})

test('a doubled row is found, at its place and at a place of its own', () => {
  const { row } = answered('purchased_again', 'item_sold')
  assertBroken('place_doubled', { attempts: rowsWith(row, (found) => [found, found]) })
  const { seq } = right.offset
  assertBroken('row_unasked', { attempts: [...right.attempts, { ...row, seq: seq + 1, n: 0 }] })
})

test('a purchase that is acknowledged and not in the table of purchases is found, and one too many', () => {
  const { row } = answered('purchased')
  const purchase = purchaseOf(row)
  assertBroken('purchase_differs', { purchases: right.purchases.filter((one) => one !== purchase) })
  assertBroken('purchase_differs', { purchases: [...right.purchases, { ...purchase, index: String(items) }] })
})

test('an answer that differs from its row is found: a wrong verdict, user, code or time', () => {
  const { request } = answered('purchased')
  assertBroken('answer_differs', {
    history: historyWith(request, { answer: { ...request.answer, verdict: 'code_expired' } }),
  })
  assertBroken('answer_differs', { history: historyWith(request, { answer: { ...request.answer, user: 'somebody' } }) })
  assertBroken('answer_differs', { history: historyWith(request, { answer: { ...request.answer, atMs: 1 } }) })
  const { request: held } = answered('held')
  assertBroken('answer_differs', {
    history: historyWith(held, { answer: { ...held.answer, nonce: 'another_nonce_16' } }),
  })
})

test('a row of a wrong user is found, also where its answer was lost', () => {
  const { request, row } = answered('held')
  const attempts = rowsWith(row, (found) => [{ ...found, user: 'somebody' }])
  assertBroken('answer_differs', { attempts })
  assertBroken('row_unasked', { attempts, history: historyWith(request, { answer: 'unknown' }) })
})

test('a decision that was answered twice is found, and a decision on a request that was turned away', () => {
  const { request } = answered('item_sold', 'item_held')
  assertBroken('answer_doubled', { history: [...right.history, { ...request }] })
  assertBroken('row_unasked', { history: historyWith(request, { answer: 'refused' }) })
})

test('a stale read is found: a checkout sent after a purchase was acknowledged is decided before it', () => {
  const { request: bought } = answered('purchased')
  const stale = right.history.find(
    (request) => isAnswered(request) && comparePlaces(request.answer.place, bought.answer.place) < 0,
  )
  assert.ok(stale)
  assertBroken('order_broken', { history: historyWith(stale, { sentMs: bought.answer.receivedMs + 0.001 }) })
})

test('a stale look is found: an item is seen as free after its purchase was acknowledged, or as sold before', () => {
  const { request } = answered('purchased')
  const { sale, index, answer } = request
  const late = {
    sale,
    index,
    sentMs: answer.receivedMs + 1,
    receivedMs: answer.receivedMs + 2,
    state: 'held',
  } as const
  assertBroken('read_stale', { looks: [late] })
  assertBroken('read_stale', { looks: [{ ...late, sentMs: 0, receivedMs: 1, state: 'sold' }] })
  // The buyer may have sent the code twice, and have had the second answer first.
  const told = right.history.filter(isAnswered).filter((one) => one.operation === 'purchase' && one.index === index)
  const toldMs = Math.min(
    ...told.filter((one) => one.answer.verdict === 'accepted').map((one) => one.answer.receivedMs),
  )
  const during = [{ ...late, sentMs: toldMs - 0.001 }]
  assert.deepEqual(judge({ ...right, looks: during }, intervalMs).breaches, [])
  const isStale = (evidence: Partial<Evidence>) => {
    const { breaches } = judge({ ...right, looks: [late], ...evidence }, intervalMs)
    return breaches.some(({ promise }) => promise === 'read_stale')
  }
  const boughtLater = right.purchases.map((one) => (one.index === index ? { ...one, nonce: 'another_nonce_16' } : one))
  assert.ok(!isStale({ purchases: boughtLater }), 'that purchase was lost, and is on record by another')
})

test('an order violation is found, also by a request whose answer was lost', () => {
  const { request } = answered('item_sold', 'item_held')
  const longAfter = (right.history.at(-1)?.sentMs ?? 0) + 60_000
  assertBroken('order_broken', { history: historyWith(request, { sentMs: longAfter }) })
  assertBroken('order_broken', { history: historyWith(request, { sentMs: longAfter, answer: 'unknown' }) })
})

test('a Redis that differs from its record is found', () => {
  const [sale] = right.redis
  assert.ok(sale)
  const [[index, sold] = []] = sale.sold
  assert.ok(index !== undefined && sold !== undefined)
  assertBroken('redis_differs', {
    redis: [{ ...sale, sold: new Map([...sale.sold, [index, { ...sold, user: 'somebody' }]]) }],
  })
  assertBroken('redis_differs', { redis: [{ ...sale, users: new Map([...sale.users].slice(1)) }] })
})

test('an answer whose outcome is unknown may have happened or not', () => {
  const { request } = answered('item_sold', 'item_held')
  const history = [...historyWith(request, { answer: 'unknown' }), { ...request, answer: 'unknown' } as const]
  assert.deepEqual(judge({ ...right, history }, intervalMs).breaches, [])
})

test('a loss of Redis excuses what Postgres did not have by then, and nothing else', () => {
  const { request, row } = answered('purchased')
  const attempts = rowsWith(row, () => [])
  const isExcused = (seq: number, { ack, doneMs }: { ack: Evidence['ack']; doneMs: number }) => {
    const losses = [{ committed: { epoch: row.epoch, seq }, begunMs: 0, doneMs, recoveredMs: doneMs }]
    const { breaches } = judge({ ...right, attempts, losses, ack }, intervalMs)
    return !breaches.some(({ promise }) => promise === 'purchase_missing')
  }
  const doneMs = request.answer.receivedMs
  assert.ok(isExcused(row.seq - 1, { ack: 'redis', doneMs }))
  assert.ok(!isExcused(row.seq, { ack: 'redis', doneMs }), 'Postgres had it')
  assert.ok(!isExcused(row.seq - 1, { ack: 'postgres', doneMs }), 'it was promised')
  assert.ok(!isExcused(row.seq - 1, { ack: 'redis', doneMs: request.sentMs }), 'it came after the loss')
})
