import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Registry } from 'prom-client'

import { registerProcessMetrics } from './process-metrics.ts'

const blockedMs = 300
/** Several samples, of which one is taken every 10 ms. */
const sampledMs = 50

test('an event loop that was blocked is in the next report, without the sampling interval, and in no later one', async () => {
  const registry = new Registry()
  registerProcessMetrics(registry, { process: 'http', number: '1' })
  const delays = async (): Promise<Record<string, number>> => {
    await delay(sampledMs)
    const metrics = await registry.getMetricsAsJSON()
    const found = metrics.find(({ name }) => name === 'hotcakes_event_loop_delay_seconds') as unknown as {
      values: { labels: { percentile: number }; value: number }[]
    }
    return Object.fromEntries(found.values.map(({ labels, value }) => [labels.percentile, value]))
  }
  await delays()
  // What begins before the first sample after a report is in none.
  await delay(sampledMs)
  const until = performance.now() + blockedMs
  while (performance.now() < until);
  const blocked = await delays()
  assert.deepEqual(Object.keys(blocked), ['50', '99', '100'])
  assert.ok((blocked[100] ?? 0) > (blockedMs - 30) / 1_000, JSON.stringify(blocked))
  const sampled = await registry.getSingleMetric('nodejs_eventloop_lag_max_seconds')?.get()
  assert.ok((sampled?.values[0]?.value ?? Number.POSITIVE_INFINITY) - (blocked[100] ?? 0) < 0.011)
  assert.notEqual((await delays())[100], blocked[100])
})
