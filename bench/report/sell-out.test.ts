import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ratesOf, sellOutOf } from './sell-out.ts'
import { anyRun } from './test-report.ts'

const { timeline } = anyRun()
const seconds = { ...timeline, rejected: [100, 900, 1_000, 3_000] }
const allSold = { items: 10, held: 0, sold: 10 }
const lastPurchase = { second: 1.5, answers: 3_000 }

test('a sell-out: the storm is what was rejected in whole seconds after the last purchase', () => {
  const soldOut = sellOutOf({ sale: allSold, lastPurchase, timeline: seconds })
  assert.deepEqual(soldOut, { lastPurchaseSecond: 1.5, answersUntil: 3_000, stormPerSecond: 2_000 })
  assert.deepEqual(soldOut && ratesOf(soldOut), { sellingPerSecond: 2_000, stormPerSecond: 2_000 })
})

test('a sell-out in the last second has no storm, and its rate is of the time that it took', () => {
  const soldOut = sellOutOf({ sale: allSold, lastPurchase: { second: 3.5, answers: 700 }, timeline: seconds })
  assert.deepEqual(soldOut && ratesOf(soldOut), { sellingPerSecond: 200 })
})

test('without a last item in the measurement there is no sell-out', () => {
  const source = { sale: allSold, lastPurchase, timeline: seconds }
  assert.equal(sellOutOf({ ...source, sale: { items: 10, held: 1, sold: 9 } }), undefined)
  assert.equal(sellOutOf({ ...source, sale: undefined }), undefined)
  assert.equal(sellOutOf({ ...source, lastPurchase: undefined }), undefined)
  assert.equal(sellOutOf({ ...source, lastPurchase: { second: -0.1, answers: 5 } }), undefined, 'in the warm-up')
})
