import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { ToChild } from '../../core/ipc.ts'
import { ClusterMetrics, type ReportingChild } from './cluster-metrics.ts'

/** A child in this process: its registry is real, and so is the JSON that its numbers travel as. */
class LocalChild implements ReportingChild {
  readonly kind = 'http'
  readonly registry = new Registry()
  readonly requests = new Counter({
    name: 'requests_total',
    help: 'r',
    labelNames: ['route'],
    registers: [this.registry],
  })
  readonly seconds = new Histogram({ name: 'seconds', help: 's', buckets: [1, 2], registers: [this.registry] })
  readonly waiting = new Gauge({ name: 'waiting', help: 'w', registers: [this.registry] })
  readonly delay = new Gauge({ name: 'delay', help: 'd', registers: [this.registry] })
  readonly number: number
  isHung = false
  onItsWay: Promise<void> | undefined
  asked = 0
  metrics: ClusterMetrics | undefined

  constructor(number: number) {
    this.number = number
  }

  send(message: ToChild): void {
    assert.equal(message.type, 'metrics')
    this.asked += 1
    if (!this.isHung) void this.#answer(message.id)
  }

  async #answer(id: number): Promise<void> {
    const json = JSON.stringify(await this.registry.getMetricsAsJSON())
    await this.onItsWay
    this.metrics?.received(this, id, JSON.parse(json) as unknown[])
  }
}

function cluster(...numbers: number[]) {
  const children = numbers.map((number) => new LocalChild(number))
  let silent: number[] = []
  const hooks = { whileOwnReport: () => undefined as void }
  const metrics = new ClusterMetrics({
    children: () => children,
    ownReport: (late) => {
      silent = late.map(({ number }) => number)
      hooks.whileOwnReport()
      return Promise.resolve([])
    },
    peaks: new Set(['delay']),
  })
  for (const child of children) child.metrics = metrics
  const die = (child: LocalChild) => {
    children.splice(children.indexOf(child), 1)
    metrics.retire(child)
  }
  return { metrics, children, die, hooks, silentNumbers: () => silent }
}

function value(text: string, series: string): number | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length))
}

test('the report is the sum over all processes', async () => {
  const { metrics, children } = cluster(1, 2)
  for (const child of children) {
    child.requests.inc({ route: 'sale' }, 2)
    child.seconds.observe(1.5)
    child.waiting.set(4)
  }
  const text = await metrics.scrape()
  assert.equal(value(text, 'requests_total{route="sale"}'), 4)
  assert.equal(value(text, 'seconds_bucket{le="1"}'), 0)
  assert.equal(value(text, 'seconds_bucket{le="2"}'), 2)
  assert.equal(value(text, 'seconds_count'), 2)
  assert.equal(value(text, 'waiting'), 8)
})

test('the dead keep their counts and lose their gauges', async () => {
  const { metrics, children, die } = cluster(1, 2)
  const [first, second] = children as [LocalChild, LocalChild]
  first.requests.inc({ route: 'sale' }, 2)
  second.requests.inc({ route: 'sale' }, 3)
  first.seconds.observe(1.5)
  first.waiting.set(4)
  second.waiting.set(1)
  await metrics.gather()
  die(first)
  const text = await metrics.scrape()
  assert.equal(value(text, 'requests_total{route="sale"}'), 5)
  assert.equal(value(text, 'seconds_count'), 1)
  assert.equal(value(text, 'waiting'), 1)
})

test('a hung process is named and waited for once, and its last counts count on without its gauges', async () => {
  const { metrics, children, die, silentNumbers } = cluster(1, 2)
  const [first, second] = children as [LocalChild, LocalChild]
  first.requests.inc({ route: 'sale' }, 2)
  first.waiting.set(4)
  second.requests.inc({ route: 'sale' }, 3)
  await metrics.scrape()
  assert.deepEqual(silentNumbers(), [])

  first.isHung = true
  second.requests.inc({ route: 'sale' }, 1)
  const text = await metrics.scrape()
  assert.deepEqual(silentNumbers(), [1])
  assert.equal(value(text, 'requests_total{route="sale"}'), 6)
  assert.equal(value(text, 'waiting'), 0)

  const asked = first.asked
  await metrics.scrape()
  assert.equal(first.asked, asked, 'questions to a hung process do not pile up')

  die(first)
  assert.equal(value(await metrics.scrape(), 'requests_total{route="sale"}'), 6)
  assert.deepEqual(silentNumbers(), [])
})

test('scrapes that come while a round runs share the next one, which sees what they have seen', async () => {
  const { metrics, children } = cluster(1)
  const [child] = children as [LocalChild]
  let letGo: (() => void) | undefined
  child.onItsWay = new Promise((resolve) => {
    letGo = resolve
  })
  const round = metrics.gather()
  await new Promise(setImmediate) // the round has asked, and the answer, without the next count, is on its way
  child.requests.inc({ route: 'sale' })
  const scrapes = [metrics.scrape(), metrics.scrape(), metrics.scrape()]
  letGo?.()
  await round
  for (const text of await Promise.all(scrapes)) assert.equal(value(text, 'requests_total{route="sale"}'), 1)
  assert.equal(child.asked, 2)
})

test('a peak between two scrapes is in the next one, and gone from the one after', async () => {
  const { metrics, children } = cluster(1)
  const [child] = children as [LocalChild]
  await metrics.scrape()
  child.delay.set(9)
  await metrics.gather()
  child.delay.set(2)
  await metrics.gather()
  assert.equal(value(await metrics.scrape(), 'delay'), 9)
  assert.equal(value(await metrics.scrape(), 'delay'), 2)
})

test('a child that ends in the middle of a scrape, or answers after its end, counts once', async () => {
  const { metrics, children, die, hooks } = cluster(1, 2)
  const [, second] = children
  assert.ok(second)
  for (const child of children) child.requests.inc({ route: 'sale' }, 3)
  hooks.whileOwnReport = () => die(second)
  assert.equal(value(await metrics.scrape(), 'requests_total{route="sale"}'), 6)
  hooks.whileOwnReport = () => undefined
  metrics.received(second, 1, await second.registry.getMetricsAsJSON())
  assert.equal(value(await metrics.scrape(), 'requests_total{route="sale"}'), 6)
})

test('no sum falls by a last binary digit when what the dead had counted is added in another order', async () => {
  const { metrics, children, die } = cluster(1, 2, 3)
  const [, second, third] = children as [LocalChild, LocalChild, LocalChild]
  for (const child of children) child.seconds.observe(child.number / 10)
  assert.notEqual(0.1 + 0.2 + 0.3, 0.2 + 0.3 + 0.1)
  const sum = async () => value(await metrics.scrape(), 'seconds_sum')
  const before = (await sum()) ?? 0
  assert.ok(Math.abs(before - 0.6) < 1e-5)
  die(second)
  die(third)
  assert.equal(await sum(), before)
})
