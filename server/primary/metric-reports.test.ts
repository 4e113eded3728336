import assert from 'node:assert/strict'
import { test } from 'node:test'

import { addCumulative, keepPeaks, type Metric, type Report } from './metric-reports.ts'

function metric(name: string, type: string, values: Metric['values']): Metric {
  return { name, type, help: name, aggregator: 'sum', values }
}

test('counters and histograms of the dead are kept, series by series, and gauges are not', () => {
  const total: Report = [metric('requests_total', 'counter', [{ value: 5, labels: { route: 'sale', status: '200' } }])]
  const report: Report = [
    metric('requests_total', 'counter', [
      { value: 2, labels: { status: '200', route: 'sale' } },
      { value: 1, labels: { route: 'sale', status: '503' } },
    ]),
    metric('duration', 'histogram', [
      { value: 3, labels: { le: 1 }, metricName: 'duration_bucket' },
      { value: 4, labels: { le: '+Inf' }, metricName: 'duration_bucket' },
      { value: 9, labels: {}, metricName: 'duration_sum' },
      { value: 4, labels: {}, metricName: 'duration_count' },
    ]),
    metric('waiting', 'gauge', [{ value: 7, labels: {} }]),
  ]
  const once = addCumulative(total, report)
  const twice = addCumulative(once, report)

  assert.deepEqual(
    twice.map(({ name, values }) => [name, values.map(({ value }) => value)]),
    [
      ['requests_total', [9, 2]],
      ['duration', [6, 8, 18, 8]],
    ],
  )
  assert.equal(total[0]?.values[0]?.value, 5, 'what was handed in stays as it is')
})

function gauges(delay: number, waiting: number): Report {
  return [
    metric('delay', 'gauge', [{ value: delay, labels: { pid: '1' } }]),
    metric('waiting', 'gauge', [{ value: waiting, labels: {} }]),
  ]
}

test('of a gauge with peaks the highest value since then is kept, of every other the newest', () => {
  const peaks = new Set(['delay'])
  assert.deepEqual(keepPeaks(gauges(1, 1), gauges(5, 5), peaks), gauges(5, 1))
  assert.deepEqual(keepPeaks(gauges(9, 1), gauges(5, 5), peaks), gauges(9, 1))
  assert.deepEqual(keepPeaks(gauges(9, 1), [], peaks), gauges(9, 1))
})
