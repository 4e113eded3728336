import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boardCurvePointsMax } from '../limits.ts'
import { SaleCurve } from './sale-curve.ts'

test('a curve through any number of sales has a bounded number of points, from the first to the last', () => {
  const times = Array.from({ length: 10_000 }, (_, at) => 5_000 + ((at * 7_919) % 10_000) * 3)
  const { points } = SaleCurve.through(times)
  assert.ok(points.length <= boardCurvePointsMax * 2 && points.length > boardCurvePointsMax / 2, `${points.length}`)
  assert.deepEqual([points[0], points.at(-2), points.at(-1)], [5_000, 5_000 + 9_999 * 3, 10_000])
  for (let at = 2; at < points.length; at += 2) {
    assert.ok((points[at] ?? 0) >= (points[at - 2] ?? 0), 'time goes on')
    assert.ok((points[at + 1] ?? 0) > (points[at - 1] ?? 0), 'what is sold stays sold')
  }
})

test('a curve goes on as it began when more is sold', () => {
  const curve = SaleCurve.through([10, 20])
  curve.add(500, 7)
  assert.deepEqual(curve.points, [10, 1, 20, 2, 500, 7])
})
