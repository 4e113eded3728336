import assert from 'node:assert/strict'
import { test } from 'node:test'

import { saleOpenAheadMs } from '../../../core/limits.ts'
import { msUntilDue, openAheadMs, saleAt, salesDue, termsBySettings } from './sales.ts'

const hourMs = 3_600_000

test('a sale begins on its boundary and ends on the next one', () => {
  const boundaryMs = 498_733 * hourMs
  assert.deepEqual(
    [boundaryMs - 1, boundaryMs, boundaryMs + hourMs - 1, boundaryMs + hourMs].map((ms) => saleAt(ms, hourMs)),
    [498_732, 498_733, 498_733, 498_734],
  )
  const settings = { intervalMs: hourMs, items: 10, userLimit: 3, holdMs: 1_000, ttlSeconds: 60, shards: 1 }
  const { opensAtMs, closesAtMs } = termsBySettings(498_733, settings)
  assert.deepEqual([opensAtMs, closesAtMs], [boundaryMs, boundaryMs + hourMs])
  assert.equal(termsBySettings(498_734, settings).opensAtMs, closesAtMs)
})

test('the next sale is due from a while before its boundary on', () => {
  const boundaryMs = 1_000 * hourMs
  assert.deepEqual(salesDue(boundaryMs, hourMs, saleOpenAheadMs), { first: 1_000, last: 1_000 })
  assert.deepEqual(salesDue(boundaryMs - saleOpenAheadMs - 1, hourMs, saleOpenAheadMs), { first: 999, last: 999 })
  assert.deepEqual(salesDue(boundaryMs - saleOpenAheadMs, hourMs, saleOpenAheadMs), { first: 999, last: 1_000 })
  assert.deepEqual(salesDue(boundaryMs - 1, hourMs, saleOpenAheadMs), { first: 999, last: 1_000 })
})

test('with intervals shorter than that, several sales are due at once, and always the next one', () => {
  for (const intervalMs of [1_000, 2_000, saleOpenAheadMs - 1, saleOpenAheadMs]) {
    for (let nowMs = 7_000_000; nowMs < 7_020_000; nowMs += 333) {
      const { first, last } = salesDue(nowMs, intervalMs, saleOpenAheadMs)
      assert.equal(first, saleAt(nowMs, intervalMs))
      assert.ok(last > first, `interval ${intervalMs}, at ${nowMs}`)
      assert.ok((last + 1) * intervalMs > nowMs + saleOpenAheadMs)
    }
  }
})

test('waiting until the next one is due leads exactly to the moment when it is', () => {
  for (const intervalMs of [1_000, 7_001, hourMs, 30 * 24 * hourMs]) {
    for (const nowMs of [0, 1, 999, 1_000, 1_795_438_934_538, 1_795_438_934_538.25]) {
      const waitMs = msUntilDue(nowMs, intervalMs, saleOpenAheadMs)
      const { last } = salesDue(nowMs, intervalMs, saleOpenAheadMs)
      assert.ok(waitMs > 0)
      assert.equal(salesDue(nowMs + waitMs, intervalMs, saleOpenAheadMs).last, last + 1)
      assert.equal(salesDue(nowMs + waitMs - 0.01, intervalMs, saleOpenAheadMs).last, last)
    }
  }
})

test('a sale of several shards is opened half an interval ahead, ten minutes at most, and no later than one of one shard', () => {
  for (const [intervalMs, oneMs, severalMs] of [
    [hourMs, 5_000, 600_000],
    [60_000, 5_000, 30_000],
    [1_000, 5_000, 5_000],
  ] as const) {
    assert.deepEqual(
      [1, 3].map((shards) => openAheadMs({ intervalMs, shards })),
      [oneMs, severalMs],
    )
  }
})
