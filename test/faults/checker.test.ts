// Goal: the checker finds nothing wrong in a right run, and finds every wrong that is planted in one.
// Method: shoppers at a real server; what they saw and what the stores hold is the evidence. Each test changes it in one
// way, as a faulty server would have, and names the promise that must come out as broken.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { judge } from './checker.ts'
import { type AttemptRow, comparePlaces, type Evidence, isAnswered } from './evidence.ts'
import { intervalMs, items, RecordedRun } from './recorded-run.ts'

const run = await RecordedRun.record({ after }, { shards: 1, userLimit: 2, users: 200 })
const { right } = run

test('a right run breaks no promise, and has a bit of everything', () => {
  const judgement = judge(right, intervalMs)
  assert.deepEqual(judgement.breaches, [])
  assert.equal(judgement.decisions, right.attempts.length)
  // On a busy machine an answer may come when its client has gone away.
  const open = right.history.length - judgement.answered
  assert.ok(open < right.history.length / 10, `${open} requests without an answer`)
  assert.ok(judgement.unseen >= 0 && judgement.unseen <= open, `${judgement.unseen} rows that nobody was told of`)
  assert.ok(right.looks.some(({ state }) => state === 'sold'))
  const outcomes = new Set(right.attempts.map(({ outcome }) => outcome))
  for (const outcome of ['held', 'held_again', 'item_sold', 'item_held', 'user_limit_reached', 'item_unknown'] as const)
    assert.ok(outcomes.has(outcome), outcome)
  for (const outcome of ['purchased', 'purchased_again', 'code_unknown'] as const)
    assert.ok(outcomes.has(outcome), outcome)
  for (const outcome of ['released', 'released_again', 'release_sold', 'release_unknown'] as const)
    assert.ok(outcomes.has(outcome), outcome)
})

function isPurchase({ operation }: { readonly operation: string }): boolean {
  return operation === 'purchase'
}

test('the order in which Postgres gives the rows says nothing', () => {
  const history = right.history.map((one) => (isPurchase(one) ? { ...one, answer: 'unknown' as const } : one))
  const nonces = history.filter(isPurchase).map(({ nonce }) => nonce)
  assert.ok(new Set(nonces).size < nonces.length, 'some were sent again')
  assert.deepEqual(run.breaches({ history, attempts: right.attempts.toReversed() }), [])
})

test('an oversell is found: an item is sold to a second buyer', () => {
  const { row } = run.answered('purchased')
  const { row: other } = run.answered('item_sold', 'item_held')
  const again = { ...row, epoch: other.epoch, seq: other.seq, n: other.n, user: other.user, nonce: 'another_nonce_16' }
  const attempts = run.rowsWith(other, () => [again])
  run.assertBroken('item_sold_twice', { attempts })
  run.assertBroken('rules_broken', { attempts })
})

test('an oversell is found: more is sold than there is', () => {
  run.assertBroken('stock_passed', {
    sales: right.sales.map((terms) => ({ ...terms, items: right.purchases.length - 1 })),
  })
})

test('a breach of the limit is found', () => {
  const { row } = run.answered('purchased')
  const { userLimit = 0 } = right.sales[0] ?? {}
  const others = new Set(right.attempts.filter((one) => one.outcome === 'purchased').slice(0, userLimit + 1))
  const attempts = right.attempts.map((one) => (others.has(one) ? { ...one, user: row.user } : one))
  run.assertBroken('limit_passed', { attempts })
  run.assertBroken('rules_broken', { attempts })
})

test('a hold beyond the limit is found, though nothing is bought with it', () => {
  const { request, row } = run.answered('user_limit_reached')
  const answer = { ...request.answer, verdict: 'accepted', nonce: 'another_nonce_16', atMs: 1 } as const
  run.assertBroken('rules_broken', {
    history: run.historyWith(request, { answer }),
    attempts: run.rowsWith(row, (found) => [{ ...found, outcome: 'held', nonce: answer.nonce, expiresAtMs: 1 }]),
  })
})

test('a lost row is found, of a purchase and of a rejection', () => {
  const { row } = run.answered('purchased')
  run.assertBroken('purchase_missing', { attempts: run.rowsWith(row, () => []) })
  const { row: rejected } = run.answered('item_held', 'item_sold')
  run.assertBroken('answer_missing', { attempts: run.rowsWith(rejected, () => []) })
  run.assertBroken('redis_differs', { attempts: run.rowsWith(rejected, () => []) })
})

test('a lost row is found where nobody was answered: its place is missing', () => {
  const { request, row } = run.answered('item_held', 'item_sold')
  run.assertBroken('place_missing', {
    history: run.historyWith(request, { answer: 'unknown' }),
    attempts: right.attempts.filter(({ epoch, seq }) => epoch !== row.epoch || seq !== row.seq),
  })
})

test('a doubled row is found, at its place and at a place of its own', () => {
  const { row } = run.answered('purchased_again', 'item_sold')
  run.assertBroken('place_doubled', { attempts: run.rowsWith(row, (found) => [found, found]) })
  const { seq = 0 } = right.offsets[0] ?? {}
  run.assertBroken('row_unasked', { attempts: [...right.attempts, { ...row, seq: seq + 1, n: 0 }] })
})

test('a purchase that is acknowledged and not in the table of purchases is found, and one too many', () => {
  const { row } = run.answered('purchased')
  const purchase = run.purchaseOf(row)
  run.assertBroken('purchase_differs', { purchases: right.purchases.filter((one) => one !== purchase) })
  run.assertBroken('purchase_differs', { purchases: [...right.purchases, { ...purchase, index: String(items) }] })
})

test('an answer that differs from its row is found: a wrong verdict, user, code or time', () => {
  const { request } = run.answered('purchased')
  run.assertBroken('answer_differs', {
    history: run.historyWith(request, { answer: { ...request.answer, verdict: 'code_expired' } }),
  })
  run.assertBroken('answer_differs', {
    history: run.historyWith(request, { answer: { ...request.answer, user: 'somebody' } }),
  })
  run.assertBroken('answer_differs', { history: run.historyWith(request, { answer: { ...request.answer, atMs: 1 } }) })
  const { request: held } = run.answered('held')
  run.assertBroken('answer_differs', {
    history: run.historyWith(held, { answer: { ...held.answer, nonce: 'another_nonce_16' } }),
  })
})

test('a row of a wrong user is found, also where its answer was lost', () => {
  const { request, row } = run.answered('held')
  const attempts = run.rowsWith(row, (found) => [{ ...found, user: 'somebody' }])
  run.assertBroken('answer_differs', { attempts })
  run.assertBroken('row_unasked', { attempts, history: run.historyWith(request, { answer: 'unknown' }) })
})

test('a decision that was answered twice is found, and a decision on a request that was turned away', () => {
  const { request } = run.answered('item_sold', 'item_held')
  run.assertBroken('answer_doubled', { history: [...right.history, { ...request }] })
  run.assertBroken('row_unasked', { history: run.historyWith(request, { answer: 'refused' }) })
})

test('a stale read is found: a checkout sent after a purchase was acknowledged is decided before it', () => {
  const { request: bought } = run.answered('purchased')
  const stale = right.history.find(
    (request) => isAnswered(request) && comparePlaces(request.answer.place, bought.answer.place) < 0,
  )
  assert.ok(stale)
  run.assertBroken('order_broken', { history: run.historyWith(stale, { sentMs: bought.answer.receivedMs + 0.001 }) })
})

test('a stale look is found: an item is seen as free after its purchase was acknowledged, or as sold before', () => {
  const { request } = run.answered('purchased')
  const { sale, index, answer } = request
  const late = {
    sale,
    index,
    sentMs: answer.receivedMs + 1,
    receivedMs: answer.receivedMs + 2,
    state: 'held',
  } as const
  run.assertBroken('read_stale', { looks: [late] })
  run.assertBroken('read_stale', { looks: [{ ...late, sentMs: 0, receivedMs: 1, state: 'sold' }] })
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
  const { request } = run.answered('item_sold', 'item_held')
  const longAfter = (right.history.at(-1)?.sentMs ?? 0) + 60_000
  run.assertBroken('order_broken', { history: run.historyWith(request, { sentMs: longAfter }) })
  run.assertBroken('order_broken', { history: run.historyWith(request, { sentMs: longAfter, answer: 'unknown' }) })
})

test('a release that leaves the slot taken is found', () => {
  const [sale] = right.redis
  const next = (released: AttemptRow) =>
    right.attempts.find((one) => {
      const isAlike = one.sale === released.sale && one.user === released.user && one.outcome === 'held'
      return isAlike && comparePlaces(one, released) > 0
    })
  const isFollowed = (one: AttemptRow) => one.outcome === 'released' && next(one) !== undefined
  const { row } = run.answeredWhere(isFollowed, 'given back by somebody who took something else')
  assert.ok(sale && row.user !== null)
  const entry = sale.users.get(row.user)
  assert.ok(entry)
  const holdsExpireAtMs = [...entry.holdsExpireAtMs, sale.nowMs + 1_000]
  run.assertBroken('redis_differs', {
    redis: [{ ...sale, users: new Map([...sale.users, [row.user, { ...entry, holdsExpireAtMs }]]) }],
  })
  const attempts = run.rowsWith(next(row) as AttemptRow, (found) => {
    return [{ ...found, outcome: 'user_limit_reached', nonce: null, expiresAtMs: null }]
  })
  run.assertBroken('rules_broken', { attempts })
})

test("a release that frees somebody else's hold is found, and one that frees nothing", () => {
  const { request, row } = run.answered('release_unknown')
  const freed = { ...row, outcome: 'released', user: 'somebody' } as const
  const answer = { ...request.answer, verdict: 'accepted', user: 'somebody' } as const
  run.assertBroken('rules_broken', {
    history: run.historyWith(request, { answer }),
    attempts: run.rowsWith(row, () => [freed]),
  })
  const [sale] = right.redis
  assert.ok(sale)
  const [[index, sold] = [], ...others] = sale.sold
  assert.ok(index !== undefined && sold !== undefined)
  const freedItem = { user: sold.user, nonce: sold.nonce, expiresAtMs: sale.terms.opensAtMs }
  const held = new Map([...sale.held, [index, freedItem]])
  run.assertBroken('redis_differs', { redis: [{ ...sale, held, sold: new Map(others) }] })
})

test('a purchase after a release is found', () => {
  const { request, row } = run.answered('released')
  const { row: later } = run.answeredWhere((one) => comparePlaces(one, row) > 0 && one.outcome === 'item_held', 'later')
  const bought = {
    ...row,
    epoch: later.epoch,
    seq: later.seq,
    n: later.n,
    outcome: 'purchased',
    operation: 'purchase',
  } as const
  const purchase = { ...bought, user: row.user ?? '', nonce: request.nonce, purchasedAtMs: later.decidedAtMs }
  run.assertBroken('rules_broken', {
    attempts: run.rowsWith(later, () => [{ ...bought, decidedAtMs: later.decidedAtMs }]),
    purchases: [...right.purchases, purchase],
  })
})

test('a Redis that differs from its record is found', () => {
  const [sale] = right.redis
  assert.ok(sale)
  const [[index, sold] = []] = sale.sold
  assert.ok(index !== undefined && sold !== undefined)
  run.assertBroken('redis_differs', {
    redis: [{ ...sale, sold: new Map([...sale.sold, [index, { ...sold, user: 'somebody' }]]) }],
  })
  run.assertBroken('redis_differs', { redis: [{ ...sale, users: new Map([...sale.users].slice(1)) }] })
})

test('an answer whose outcome is unknown may have happened or not', () => {
  const { request } = run.answered('item_sold', 'item_held')
  const history = [...run.historyWith(request, { answer: 'unknown' }), { ...request, answer: 'unknown' } as const]
  assert.deepEqual(judge({ ...right, history }, intervalMs).breaches, [])
})

test('a loss of Redis excuses what Postgres did not have by then, and nothing else', () => {
  const { request, row } = run.answered('purchased')
  const attempts = run.rowsWith(row, () => [])
  const isExcused = (seq: number, { ack, doneMs }: { ack: Evidence['ack']; doneMs: number }) => {
    const losses = [
      { shard: 0, committed: { epoch: row.epoch, seq }, begunMs: 0, doneMs, withReplicas: true, recoveredMs: doneMs },
    ]
    const rebuilt = { shard: 0, epoch: row.epoch + 1, after: undefined, begunAtMs: 0 }
    const { breaches } = judge({ ...right, attempts, epochs: [...right.epochs, rebuilt], losses, ack }, intervalMs)
    return !breaches.some(({ promise }) => promise === 'purchase_missing')
  }
  const doneMs = request.answer.receivedMs
  assert.ok(isExcused(row.seq - 1, { ack: 'redis', doneMs }))
  assert.ok(!isExcused(row.seq, { ack: 'redis', doneMs }), 'Postgres had it')
  assert.ok(!isExcused(row.seq - 1, { ack: 'postgres', doneMs }), 'it was promised')
  assert.ok(!isExcused(row.seq - 1, { ack: 'redis', doneMs: request.sentMs }), 'it came after the loss')
})
