import assert from 'node:assert/strict'
import { test } from 'node:test'

import { curveRange } from './page/curve.browser.mjs'

const minute = 60_000

/** One item each at these times. */
function soldAt(...times: number[]): number[] {
  return times.flatMap((ms, at) => [ms, at + 1])
}

const rush = Array.from({ length: 100 }, (_, at) => 30 * minute + at * 50)

test('one early purchase, or one late one, does not flatten a rush of seconds', () => {
  for (const [times, isEarlyCut, isLateCut] of [
    [[2_000, ...rush], true, false],
    [[...rush, 55 * minute], false, true],
    [[2_000, ...rush, 55 * minute], true, true],
  ] as const) {
    const range = curveRange(soldAt(...times), { items: times.length, nowMs: 60 * minute })
    assert.ok(range.startMs >= 29.9 * minute && range.startMs <= 30 * minute, `${range.startMs}`)
    assert.ok(range.endMs >= 30 * minute + 4_950 && range.endMs <= 30.2 * minute, `${range.endMs}`)
    assert.deepEqual([range.isEarlyCut, range.isLateCut], [isEarlyCut, isLateCut])
  }
})

test('a steady sale is shown from its opening to now, and nothing of it is cut', () => {
  const times = Array.from({ length: 200 }, (_, at) => 1_000 + at * 5_000)
  const range = curveRange(soldAt(...times), { items: 1_000, nowMs: 1_001_000 })
  assert.deepEqual(range, { startMs: 0, endMs: 1_001_000, isEarlyCut: false, isLateCut: false })
})

test('of a few sales all are shown', () => {
  for (const times of [[5_000], [5_000, 50 * minute], [1, 2, 50 * minute]]) {
    const range = curveRange(soldAt(...times), { items: 10, nowMs: 51 * minute })
    assert.ok(range.startMs <= (times[0] ?? 0) && range.endMs >= (times.at(-1) ?? 0), times.join())
    assert.ok(range.endMs - range.startMs >= 1_000)
  }
})
