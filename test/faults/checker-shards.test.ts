// Goal: of a sale of three shards the checker finds every wrong that only several shards can have, and excuses exactly what a
// failover may lose.
// Method: as in checker.test.ts, with a limit that many reach, so that rights move.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { compareLogPositions } from '../../core/log-position.ts'
import {
  type AnsweredRequest,
  type AttemptRow,
  comparePlaces,
  type EpochRow,
  type Evidence,
  formatPlace,
  isAnswered,
  type RedisPart,
  type TransferRow,
} from './evidence.ts'
import { RecordedRun } from './recorded-run.ts'

const shards = 3
const userLimit = 2

const run = await RecordedRun.record({ after }, { shards, userLimit, users: 60 })
const { right } = run

/** Place -> the request that was answered with it. */
const requests = new Map(right.history.filter(isAnswered).map((one) => [formatPlace(one.answer.place), one]))

function transfer(kind: TransferRow['kind']): TransferRow {
  const found = right.transfers.find((row) => row.kind === kind)
  assert.ok(found, `no right was ${kind}`)
  return found
}

/** The user's holds at that moment. */
function heldAt(atMs: number, user: string | null): AttemptRow[] {
  return right.attempts.filter((row) => {
    const isLive = row.decidedAtMs < atMs && atMs < (row.expiresAtMs ?? 0)
    return row.outcome === 'held' && row.user === user && isLive
  })
}

/** The request that was answered with the row. */
function requestOf(row: AttemptRow): AnsweredRequest | undefined {
  return requests.get(formatPlace(row))
}

/** Whether it may be of the right that was got there. */
function isLoanOf(row: TransferRow, got: TransferRow): boolean {
  return row.kind === 'lent' && row.user === got.user && row.shard === got.peer && row.peer === got.shard
}

/** Redis with other rights of one user at one shard. */
function redisWith({ shard, user, peer }: TransferRow, change: (totals: { lent: number; got: number }) => object) {
  return right.redis.map((part): RedisPart => {
    const entry = part.users.get(user)
    if (part.shard !== shard || entry === undefined) return part
    const rights = entry.rights.map((moved) => (moved.peer === peer ? { ...moved, ...change(moved) } : moved))
    return { ...part, users: new Map([...part.users, [user, { ...entry, rights }]]) }
  })
}

test('a right run over three shards breaks no promise, and rights have moved in it', () => {
  assert.deepEqual(run.breaches({}), [])
  assert.deepEqual(new Set(right.attempts.map(({ shard }) => shard)), new Set([0, 1, 2]))
  assert.ok(right.transfers.some(({ kind }) => kind === 'lent') && right.transfers.some(({ kind }) => kind === 'got'))
  assert.ok(right.attempts.some(({ outcome }) => outcome === 'user_limit_reached'))
})

test('a user who has more than the limit is found, though in no shard there are too many', () => {
  const { row } = run.answered('purchased')
  const elsewhere = [0, 1, 2].flatMap((shard) => {
    return right.attempts.find((one) => one.outcome === 'purchased' && one.shard === shard && one !== row) ?? []
  })
  const nonces = new Set(elsewhere.slice(0, userLimit).map(({ nonce }) => nonce))
  assert.equal(nonces.size, userLimit)
  const attempts = right.attempts.map((one) => (nonces.has(one.nonce) ? { ...one, user: row.user } : one))
  run.assertBroken('limit_passed', { attempts })
})

test('a user who is refused with a right left is found', () => {
  const firstMs = new Map<string | null, number>()
  for (const { user, outcome, decidedAtMs } of right.attempts) {
    if (outcome === 'held') firstMs.set(user, Math.min(decidedAtMs, firstMs.get(user) ?? Infinity))
  }
  const isFirst = (one: AttemptRow) => one.outcome === 'held' && one.decidedAtMs === firstMs.get(one.user)
  const { request, row } = run.answeredWhere(isFirst, 'a first hold')
  const { nonce, atMs, ...answer } = request.answer
  assert.ok(nonce !== undefined && atMs !== undefined)
  run.assertBroken('limit_refused', {
    history: run.historyWith(request, { answer: { ...answer, verdict: 'user_limit_reached' } }),
    attempts: run.rowsWith(row, (found) => [
      { ...found, outcome: 'user_limit_reached', nonce: null, expiresAtMs: null },
    ]),
  })
})

test('a refusal for a hold that was lost later is excused, also where no answer had told of it, and not before it was asked for', () => {
  // Refused for holds alone, of which one is taken off the record. Both were known before it was asked: else one that came or
  // went while it was decided might be the reason.
  const { request: refused, row } = run.answeredWhere((one) => {
    const holds = heldAt(one.decidedAtMs, one.user)
    const askedMs = requestOf(one)?.sentMs ?? 0
    const areKnown = holds.every((hold) => (requestOf(hold)?.answer.receivedMs ?? Infinity) < askedMs)
    return one.outcome === 'user_limit_reached' && holds.length === userLimit && areKnown
  }, 'refused for its holds')
  const [forgotten = assert.fail()] = heldAt(row.decidedAtMs, row.user)
  const checkout = requestOf(forgotten) ?? assert.fail()
  const isFound = (evidence: Partial<Evidence>) => {
    // Of each kind the first few are kept, and this user may have been refused more often.
    const attempts = [row, ...right.attempts.filter((one) => one !== forgotten && one !== row)]
    const history = run.historyWith(checkout, { answer: 'unknown' })
    const start = `${formatPlace(row)}: `
    return run
      .breaches({ attempts, history, ...evidence })
      .some(({ promise, detail }) => promise === 'limit_refused' && detail.startsWith(start))
  }
  const lossAt = (begunMs: number) => {
    const { shard, epoch, seq } = forgotten
    const times = { begunMs, doneMs: begunMs + 1, recoveredMs: begunMs + 1 }
    return { losses: [{ shard, committed: { epoch, seq: seq - 1 }, withReplicas: true, ...times }] }
  }
  assert.ok(isFound({}))
  assert.ok(isFound(lossAt(checkout.sentMs - 2)))
  assert.ok(!isFound(lossAt(refused.answer.receivedMs + 1)))
})

test('a right that is received and was never lent is found, and one that was lent and is in no row', () => {
  // A row that was the last of its entry leaves no gap there: how many an entry had is on no record.
  const hasFollower = ({ shard, epoch, seq, n }: TransferRow) =>
    right.attempts.some((row) => row.shard === shard && row.epoch === epoch && row.seq === seq && row.n > n)
  const got = right.transfers.find((one) => {
    return one.kind === 'got' && right.transfers.some((row) => isLoanOf(row, one) && hasFollower(row))
  })
  assert.ok(got, 'no loan stands before a decision')
  const transfers = right.transfers.filter((row) => !isLoanOf(row, got))
  run.assertBroken('rights_differ', { transfers })
  run.assertBroken('place_missing', { transfers })
  // That its lender has lost the entry excuses it, if it was received before that one went on.
  const isFound = (begunAtMs: number) => {
    const begun: EpochRow = { shard: got.peer, epoch: 2, after: { epoch: 1, seq: 1_000_000 }, begunAtMs }
    const loss = {
      shard: got.peer,
      committed: { epoch: 1, seq: 1 },
      begunMs: 0,
      doneMs: 1,
      withReplicas: false,
      recoveredMs: 1,
    }
    const found = run.breaches({ transfers, epochs: [...right.epochs, begun], losses: [loss] })
    return found.some(({ detail }) => detail.startsWith(`${formatPlace(got)}: `))
  }
  assert.ok(!isFound(got.decidedAtMs + 1))
  assert.ok(isFound(got.decidedAtMs - 1))
})

test('a Redis that has forgotten a right that it lent is found, and one that has got a right twice', () => {
  run.assertBroken('rights_differ', { redis: redisWith(transfer('lent'), ({ lent }) => ({ lent: lent - 1 })) })
  // Where another one is still on its way, once more is no more than was lent.
  const got = right.transfers.find((row) => {
    return row.kind === 'got' && !right.transfers.some((one) => isLoanOf(one, row) && one.total > row.total)
  })
  assert.ok(got, 'no right has arrived')
  run.assertBroken('rights_differ', { redis: redisWith(got, (totals) => ({ got: totals.got + 1 })) })
})

test('a doubled row of a right is found', () => {
  run.assertBroken('place_doubled', { transfers: [...right.transfers, transfer('lent')] })
})

test('an answer from one shard with a row in another is found', () => {
  const { row } = run.answered('item_sold', 'item_held')
  run.assertBroken('answer_missing', {
    attempts: run.rowsWith(row, (found) => [{ ...found, shard: (row.shard + 1) % shards }]),
  })
})

test('order holds within a shard, and says nothing between two', () => {
  const answered = right.history.filter(isAnswered)
  const [early] = answered
  assert.ok(early)
  const late = answered.findLast(({ answer }) => answer.place.shard === early.answer.place.shard)
  assert.ok(late !== undefined && late.sentMs > early.answer.receivedMs)
  const swapped = right.history.map((one) => {
    if (one === early) return { ...one, answer: { ...early.answer, place: late.answer.place } }
    return one === late ? { ...one, answer: { ...late.answer, place: early.answer.place } } : one
  })
  run.assertBroken('order_broken', { history: swapped })
  const some = answered.filter((_, at) => at % 50 === 0)
  const crossed = some.some(({ answer: { place, receivedMs } }) => {
    return answered.some(({ sentMs, answer }) => {
      const isOther = answer.place.shard !== place.shard && sentMs > receivedMs
      return isOther && compareLogPositions(answer.place, place) < 0
    })
  })
  assert.ok(crossed, 'logs of different length have been met')
})

test('what a failover excuses is of its shard, of an older epoch, behind its end, and asked before it was over', () => {
  const { request, row } = run.answered('purchased')
  const { shard, epoch, seq } = row
  const isExcused = (changes: {
    shard?: number
    afterSeq?: number
    doneMs?: number
    later?: number
    ack?: Evidence['ack']
    withReplicas?: boolean
  }) => {
    const of = changes.shard ?? shard
    const { doneMs = request.answer.receivedMs, later = epoch + 1, afterSeq = seq - 1, ack = 'redis' } = changes
    const { withReplicas = false } = changes
    const loss = { shard: of, committed: { epoch, seq: 0 }, begunMs: 0, doneMs, withReplicas, recoveredMs: doneMs }
    const begun: EpochRow = { shard: of, epoch: later, after: { epoch, seq: afterSeq }, begunAtMs: 0 }
    const attempts = run.rowsWith(row, () => [])
    const found = run.breaches({ attempts, losses: [loss], epochs: [...right.epochs, begun], ack })
    return !found.some(({ promise }) => promise === 'purchase_missing')
  }
  assert.ok(isExcused({}))
  assert.ok(!isExcused({ shard: (shard + 1) % shards }), 'another shard was lost')
  assert.ok(!isExcused({ afterSeq: seq }), 'the next epoch follows on it')
  assert.ok(!isExcused({ later: epoch }), 'no later epoch has begun')
  assert.ok(!isExcused({ doneMs: request.sentMs }), 'it was asked after the loss')
  assert.ok(!isExcused({ ack: 'postgres' }), 'it was promised')
  assert.ok(!isExcused({ ack: 'replica' }), 'the replica that took over had it')
  assert.ok(isExcused({ ack: 'replica', withReplicas: true }))
  const { breaches } = { breaches: run.breaches({ attempts: run.rowsWith(row, () => []) }) }
  assert.ok(
    breaches.some(({ promise }) => promise === 'purchase_missing'),
    'nothing was lost',
  )
})

test('a row behind the end of its epoch is found: of a master that was replaced', () => {
  const last = right.attempts
    .filter(({ shard }) => shard === 1)
    .toSorted(comparePlaces)
    .at(-1)
  assert.ok(last)
  const begun: EpochRow = { shard: 1, epoch: 2, after: { epoch: 1, seq: last.seq - 1 }, begunAtMs: 0 }
  run.assertBroken('place_missing', { epochs: [...right.epochs, begun] })
})

test('entries before the end of an epoch that are not on record are found, unless a rebuild gave them up', () => {
  const last = right.attempts
    .filter(({ shard }) => shard === 1)
    .toSorted(comparePlaces)
    .at(-1)
  assert.ok(last)
  const named: EpochRow = { shard: 1, epoch: 2, after: { epoch: 1, seq: last.seq + 40 }, begunAtMs: 0 }
  const rebuilt: EpochRow = { shard: 1, epoch: 3, after: undefined, begunAtMs: 0 }
  const isMissing = (epochs: readonly EpochRow[], epoch: number) => {
    const offsets = right.offsets.map((offset, shard) => (shard === 1 ? { epoch, seq: 0 } : offset))
    const breaches = run.breaches({ epochs: [...right.epochs, ...epochs], offsets })
    return breaches.some(({ promise }) => promise === 'place_missing')
  }
  assert.ok(isMissing([named], 2))
  assert.ok(!isMissing([named, rebuilt], 3))
})
