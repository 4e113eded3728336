import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AggregatorRegistry, Registry } from 'prom-client'

import { firstShard } from '../../../core/shards.ts'
import { SellingMetrics } from '../selling/selling-metrics.ts'
import { registerWorkerGauges } from '../worker-gauges.ts'
import { RequestMetrics } from './request-metrics.ts'

const routes = ['/checkout', '/purchase', 'other']

test('requests, outcomes, faults and shed requests appear under their labels', async () => {
  const registry = new Registry()
  const metrics = new RequestMetrics(registry, routes)
  metrics.answered(0, 200, 0.002)
  metrics.answered(0, 200, 0.002)
  metrics.answered(1, 503, 9)
  metrics.answered(2, 404, 0.0001)
  metrics.shed('overloaded')
  const selling = new SellingMetrics(registry)
  selling.decided('held')
  selling.decided('code_unlisted')
  selling.batch(firstShard, 2, 0.001)
  selling.fault('HC_REDIS_UNAVAILABLE')
  const lines = (await registry.metrics()).split('\n')
  for (const line of [
    'hotcakes_http_requests_total{route="/checkout",status="200"} 2',
    'hotcakes_http_requests_total{route="/purchase",status="503"} 1',
    'hotcakes_http_requests_total{route="other",status="404"} 1',
    'hotcakes_http_request_duration_seconds_bucket{route="/checkout",le="0.001"} 0',
    'hotcakes_http_request_duration_seconds_bucket{route="/checkout",le="0.0025"} 2',
    'hotcakes_http_request_duration_seconds_bucket{route="/checkout",le="+Inf"} 2',
    'hotcakes_http_request_duration_seconds_bucket{route="/purchase",le="5"} 0',
    'hotcakes_http_request_duration_seconds_bucket{route="/purchase",le="+Inf"} 1',
    'hotcakes_http_request_duration_seconds_sum{route="/purchase"} 9',
    'hotcakes_http_request_duration_seconds_count{route="/checkout"} 2',
    'hotcakes_outcomes_total{operation="checkout",outcome="held"} 1',
    'hotcakes_outcomes_total{operation="purchase",outcome="code_unlisted"} 1',
    'hotcakes_outcomes_total{operation="purchase",outcome="purchased"} 0',
    'hotcakes_batch_commands_bucket{le="1"} 0',
    'hotcakes_batch_commands_bucket{le="2"} 1',
    'hotcakes_redis_batch_duration_seconds_count 1',
    'hotcakes_requests_shed_total{reason="overloaded"} 1',
    'hotcakes_requests_shed_total{reason="redis_down"} 0',
    'hotcakes_faults_total{code="HC_REDIS_UNAVAILABLE"} 1',
  ]) {
    assert.ok(lines.includes(line), line)
  }
})

test('what a crowd asks for has its series from the start, and all else from its first request', async () => {
  const registry = new Registry()
  const metrics = new RequestMetrics(registry, ['/checkout', '/sale', '/purchases'])
  metrics.answered(1, 304, 0.001)
  const text = await registry.metrics()
  const seriesOf = (name: string, route: string): number =>
    text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(`route="${route}"`)).length
  const counts = ['/checkout', '/sale', '/purchases'].map((route) => [
    seriesOf('hotcakes_http_requests_total', route),
    seriesOf('hotcakes_http_request_duration_seconds_bucket', route),
    seriesOf('hotcakes_http_request_duration_seconds_count', route),
  ])
  assert.deepEqual(counts, [
    [1, 14, 1],
    [1, 14, 1],
    [0, 0, 0],
  ])
})

test('each status counts as itself', async () => {
  const registry = new Registry()
  const metrics = new RequestMetrics(registry, routes)
  const statuses = [200, 204, 304, 400, 403, 404, 405, 409, 410, 429, 499, 503] as const
  for (const status of statuses) metrics.answered(1, status, 0.001)
  const text = await registry.metrics()
  const counted = [...text.matchAll(/requests_total\{route="\/purchase",status="(\d+)"\} 1$/gm)].map(([, status]) =>
    Number(status),
  )
  assert.deepEqual(counted, statuses)
})

test('asking twice does not count twice', async () => {
  const registry = new Registry()
  const metrics = new RequestMetrics(registry, routes)
  metrics.answered(0, 200, 0.001)
  metrics.shed('redis_down')
  const first = await registry.getMetricsAsJSON()
  assert.deepEqual(await registry.getMetricsAsJSON(), first)
})

test('over several workers counts add up, and the sale is that of one of them', async () => {
  const reports = await Promise.all(
    [10, 7].map((held) => {
      const registry = new Registry()
      const metrics = new RequestMetrics(registry, routes)
      metrics.answered(0, 200, 0.001)
      registerWorkerGauges(registry, {
        shards: [
          {
            number: firstShard,
            batcher: { waiting: 3 },
            isAnswering: true,
            uncommitted: undefined,
            replicas: undefined,
          },
        ],
        rightsSeekers: () => 0,
        connections: () => 2,
        refusalsWaiting: () => 0,
        saleItems: () => ({ total: 100, held, sold: 1, available: 99 - held }),
      })
      return registry.getMetricsAsJSON()
    }),
  )
  const text = await AggregatorRegistry.aggregate(reports).metrics()
  const lines = text.split('\n')
  for (const line of [
    'hotcakes_http_requests_total{route="/checkout",status="200"} 2',
    'hotcakes_http_request_duration_seconds_bucket{le="0.001",route="/checkout"} 2',
    'hotcakes_commands_waiting 6',
    'hotcakes_http_connections 4',
    'hotcakes_sale_size_items 100',
    'hotcakes_sale_items{state="held"} 10',
    'hotcakes_sale_items{state="available"} 89',
  ]) {
    assert.ok(lines.map(sortLabels).includes(sortLabels(line)), line)
  }
})

test('nothing is said of a sale that is not known', async () => {
  const registry = new Registry()
  registerWorkerGauges(registry, {
    shards: [
      { number: firstShard, batcher: { waiting: 0 }, isAnswering: true, uncommitted: undefined, replicas: undefined },
    ],
    rightsSeekers: () => 0,
    connections: () => 0,
    refusalsWaiting: () => 0,
    saleItems: () => undefined,
  })
  assert.ok(!(await registry.metrics()).includes('hotcakes_sale_items{'))
})

test('several shards are told apart, and what they do for each other is counted', async () => {
  const registry = new Registry()
  const selling = new SellingMetrics(registry, 2)
  selling.batch(1, 2, 0.001)
  selling.rightsAsked(3)
  selling.rightsRound('refused')
  selling.fault('HC_REDIS_UNAVAILABLE', 1)
  selling.fault('HC_REDIS_UNAVAILABLE')
  const requests = new RequestMetrics(registry, routes, 2)
  requests.shed('redis_down', 1)
  requests.shed('redis_down', 1)
  requests.shed('redis_down')
  requests.shed('shutting_down')
  const shards = [0, 1].map((number) => {
    return {
      number,
      isAnswering: number === 0,
      batcher: { waiting: 5 + number },
      uncommitted: { count: number },
      replicas: undefined,
    }
  })
  registerWorkerGauges(registry, {
    shards,
    rightsSeekers: () => 4,
    connections: () => 0,
    refusalsWaiting: () => 0,
    saleItems: () => undefined,
  })
  const lines = (await registry.metrics()).split('\n')
  for (const line of [
    'hotcakes_batch_commands_count{shard="0"} 0',
    'hotcakes_batch_commands_count{shard="1"} 1',
    'hotcakes_redis_batch_duration_seconds_count{shard="1"} 1',
    'hotcakes_commands_waiting{shard="1"} 6',
    'hotcakes_answers_uncommitted{shard="1"} 1',
    'hotcakes_rights_asked_total 3',
    'hotcakes_rights_rounds_total{result="refused"} 1',
    'hotcakes_rights_rounds_total{result="lent"} 0',
    'hotcakes_rights_waiting 4',
    'hotcakes_faults_total{code="HC_REDIS_UNAVAILABLE",shard="1"} 1',
    'hotcakes_faults_total{code="HC_REDIS_UNAVAILABLE"} 1',
    'hotcakes_requests_shed_total{reason="redis_down",shard="1"} 2',
    'hotcakes_requests_shed_total{reason="redis_down",shard="0"} 0',
    'hotcakes_requests_shed_total{reason="redis_down"} 1',
    'hotcakes_requests_shed_total{reason="shutting_down"} 1',
    'hotcakes_redis_away{shard="0"} 0',
    'hotcakes_redis_away{shard="1"} 1',
  ]) {
    assert.ok(lines.includes(line), line)
  }
  assert.ok(!lines.some((line) => line.includes('reason="shutting_down",shard=')))
})

test('with one shard nothing is said of shards', async () => {
  const registry = new Registry()
  const selling = new SellingMetrics(registry)
  selling.batch(firstShard, 1, 0.001)
  selling.fault('HC_REDIS_UNAVAILABLE', firstShard)
  new RequestMetrics(registry, routes).shed('late', firstShard)
  const shards = [
    { number: firstShard, batcher: { waiting: 1 }, isAnswering: true, uncommitted: undefined, replicas: undefined },
  ]
  registerWorkerGauges(registry, {
    shards,
    rightsSeekers: () => 0,
    connections: () => 0,
    refusalsWaiting: () => 0,
    saleItems: () => undefined,
  })
  const text = await registry.metrics()
  const wanted = ['commands_waiting 1', 'redis_away 0', 'requests_shed_total{reason="late"} 1']
  for (const line of [...wanted, 'faults_total{code="HC_REDIS_UNAVAILABLE"} 1'])
    assert.ok(text.includes(`\nhotcakes_${line}\n`), line)
  assert.ok(!text.includes('shard=') && !text.includes('hotcakes_rights'))
})

function sortLabels(line: string): string {
  return line.replace(/\{(.*)\}/, (_, labels: string) => `{${labels.split(',').toSorted().join(',')}}`)
}
