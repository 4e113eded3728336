import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeHistogram, encodeHistogram, mergeHistograms, newHistogram, summarize } from '../report/latencies.ts'
import { answered, newTally, type Tally } from '../report/tally.ts'
import { Measurement } from './measurement.ts'

const tallyOf = (overrides: Partial<Tally>): Tally => ({ ...newTally(), ...overrides })
const latencyOf = (...us: number[]): string => {
  const histogram = newHistogram(2)
  for (const value of us) histogram.recordValue(value)
  return encodeHistogram(histogram)
}

test('what several generators counted in one second is added up', () => {
  const measurement = new Measurement()
  measurement.add({ second: 0, tally: tallyOf({ holds: 3, rejected: { item_sold: 1 } }), latency: latencyOf(100) })
  measurement.add({
    second: 0,
    tally: tallyOf({ holds: 4, rejected: { item_sold: 2, item_held: 1 }, timeouts: 1 }),
    latency: latencyOf(9_000),
  })
  measurement.add({ second: 1, tally: tallyOf({ purchases: 5 }), latency: latencyOf(200) })
  assert.equal(measurement.tally.holds, 7)
  assert.deepEqual(measurement.tally.rejected, { item_sold: 3, item_held: 1 })
  const timeline = measurement.timeline(2)
  assert.deepEqual(timeline.answered, [11, 5])
  assert.deepEqual(timeline.failed, [1, 0])
  assert.deepEqual(timeline.rejected, [4, 0])
  assert.ok((timeline.p50Us[0] ?? 0) < 110 && (timeline.maxUs[0] ?? 0) > 8_900)
})

test('warm-up and tail are kept apart from the measurement', () => {
  const measurement = new Measurement()
  measurement.add({ second: -1, tally: tallyOf({ holds: 1 }), latency: latencyOf() })
  measurement.add({ second: 'tail', tally: tallyOf({ purchases: 2 }), latency: latencyOf() })
  assert.equal(answered(measurement.tally), 0)
  assert.equal(measurement.warmup.holds, 1)
  assert.equal(measurement.tail.purchases, 2)
  assert.equal(measurement.acceptedEver, 3)
})

test('a second of which nobody reported is an empty one', () => {
  const timeline = new Measurement().timeline(2)
  assert.deepEqual(timeline.answered, [0, 0])
  assert.deepEqual(timeline.maxUs, [0, 0])
})

test('merged histograms have the percentiles of all values together', () => {
  const [fast, slow, all] = [newHistogram(), newHistogram(), newHistogram()]
  for (let us = 1; us <= 2_000; us++) {
    const into = us % 2 === 0 ? fast : slow
    into.recordValue(us * 50)
    all.recordValue(us * 50)
  }
  const { histogram, maxUs, ...merged } = summarize(mergeHistograms([fast, slow].map(encodeHistogram)))
  const { histogram: _, maxUs: exactMaxUs, ...expected } = summarize(all)
  assert.deepEqual(merged, expected)
  // What was encoded knows its largest value to three digits only.
  assert.ok(maxUs >= exactMaxUs && maxUs <= exactMaxUs * 1.001)
  assert.equal(decodeHistogram(histogram).totalCount, 2_000)
})
