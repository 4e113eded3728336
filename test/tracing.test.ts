// Goal: the spans of a sale lead from a client's request to the batch that decided it and to the transaction that put it on
// record; of what is not sampled there is none; and a server that traces nothing has nothing of OpenTelemetry's SDK.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { spansPerExportMax, spansQueuedMax } from '../core/limits.ts'
import { Spans, type SpansOptions } from '../core/tracing/sdk.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { checkoutPath, codeOf, currentSale, purchasePath, releasePath } from './helpers/items.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { type CollectedSpan, startCollector } from './helpers/trace-collector.ts'

const scope = { after }
const [redis, postgres] = await Promise.all([startRedis(scope), startPostgres(scope)])
const commonEnv = {
  ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_WORKERS: '1',
}
/** Span kinds. */
const [server, client] = [2, 3]

/** Names of scripts that processes ran, by what V8 wrote of them when they ended. */
function scriptsRun(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] }
    return result.map(({ url }) => url)
  })
}

const isSdk = (url: string) => /core\/tracing\/sdk\.js|node_modules\/@opentelemetry\/(?!api\/)/.test(url)

function traceparent(digit: string, flags: '00' | '01'): string {
  return `00-${digit.repeat(32)}-${digit.repeat(16)}-${flags}`
}

/** `1-17-3` and `1-17` as numbers that can be compared. */
function positionOf(text: string | number | undefined): { epoch: number; seq: number } {
  const [epoch, seq] = String(text).split('-').map(Number)
  assert.ok(epoch !== undefined && seq !== undefined && seq >= 0, String(text))
  return { epoch, seq }
}

/** Checkouts, a purchase and a release by two buyers, told apart by their traces. @returns what no span may say */
async function sellTraced(cluster: Cluster): Promise<string[]> {
  const sale = await currentSale(cluster)
  const post = async (path: string, status: number, headers: Record<string, string>) => {
    const reply = await cluster.http.post(path, { headers })
    assert.equal(reply.status, status, path)
    return reply
  }
  const tracestate = 'shop=7,other=x'
  const of = (buyer: string, item: number) => checkoutPath(`${buyer}-the-buyer`, `${sale}-${item}`)
  const code = codeOf(await post(of('ann', 1), 200, { traceparent: traceparent('a', '01'), tracestate }))
  await post(of('bob', 1), 409, { traceparent: traceparent('b', '00') })
  await post(of('bob', 1), 409, { traceparent: '00-broken' })
  await post(purchasePath(code), 200, { traceparent: traceparent('c', '01') })
  const other = codeOf(await post(of('ann', 2), 200, { traceparent: traceparent('d', '00') }))
  await post(releasePath(other), 200, { traceparent: traceparent('e', '01') })
  await post('/checkout?id=nonsense', 400, { traceparent: traceparent('f', '01') })
  await cluster.http.get('/sale')
  return ['the-buyer', code, other, '00-broken']
}

/** Requests whose traces were named, and one that began a trace: each once, with what it came to. */
function assertRequests(requests: readonly CollectedSpan[]): void {
  const seen = requests.map(({ name, traceId, parentSpanId = '', attributes }) => [
    parentSpanId === '' ? 'new' : `${traceId.slice(-1)} ${parentSpanId === traceId.slice(16)}`,
    name,
    attributes['http.response.status_code'],
    attributes['hotcakes.outcome'],
  ])
  assert.deepEqual(
    seen.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ['a true', 'POST /checkout', 200, 'held'],
      ['c true', 'POST /purchase', 200, 'purchased'],
      ['e true', 'POST /release', 200, 'released'],
      ['f true', 'POST /checkout', 400, undefined],
      ['new', 'POST /checkout', 409, 'item_held'],
    ],
  )
  const states = requests.map(({ traceState }) => traceState ?? '').filter((state) => state !== '')
  assert.deepEqual(states, ['shop=7,other=x'])
}

/** That all spans of those requests are there, and lead to each other. */
function assertWhole(spans: readonly CollectedSpan[]): true {
  const requests = spans.filter(({ kind }) => kind === server)
  assertRequests(requests)
  for (const request of requests)
    if (request.attributes['hotcakes.outcome'] !== undefined) assertFollowed(request, spans)
  return true
}

/** From a request to the batch that decided it, back, and by its position to the transaction that copied it. */
function assertFollowed(request: CollectedSpan, spans: readonly CollectedSpan[]): void {
  const batch = spans.find(({ spanId }) => spanId === request.links[0]?.spanId)
  assert.deepEqual([batch?.name, batch?.kind, batch?.parentSpanId ?? ''], ['decide', client, ''])
  assert.ok(batch?.links.some(({ spanId, traceId }) => spanId === request.spanId && traceId === request.traceId))
  assert.ok(Number(batch?.attributes['hotcakes.batch.commands']) >= 1)
  assert.ok(BigInt(request.startTimeUnixNano) <= BigInt(batch?.endTimeUnixNano ?? 0))
  const position = String(request.attributes['hotcakes.log.position'])
  assert.ok(position.startsWith(`${batch?.attributes['hotcakes.log.position']}-`))

  const { epoch, seq } = positionOf(position)
  const commits = spans.filter(({ name, attributes }) => {
    if (name !== 'commit') return false
    const [from, through] = [
      positionOf(attributes['hotcakes.log.after']),
      positionOf(attributes['hotcakes.log.position']),
    ]
    return through.epoch === epoch && seq <= through.seq && (from.epoch < epoch || seq > from.seq)
  })
  assert.equal(commits.length, 1)
}

test('spans of a sale: parents, links, positions, and no word of buyers and codes', async (t) => {
  const collector = await startCollector(t)
  const coverage = temporaryFolder(t)
  const cluster = await startCluster(t, {
    env: {
      ...commonEnv,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=shop',
      OTEL_SERVICE_NAME: 'till',
      OTEL_TRACES_SAMPLER_ARG: '1',
      NODE_V8_COVERAGE: coverage,
    },
  })
  const unsaid = await sellTraced(cluster)
  const { spans } = collector
  // Before the stop, which waits a second at most for the collector.
  await eventually(() => assertWhole(spans), { what: 'the spans' })
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  assertWhole(spans)

  const said = collector.texts.join('')
  // Two were not sampled: no span, and no link to one.
  for (const text of [...unsaid, 'b'.repeat(32), 'd'.repeat(32)]) assert.ok(!said.includes(text), text)
  const origins = spans.map(({ resource }) => `${resource['service.name']} ${resource['hotcakes.process']}`)
  assert.deepEqual(new Set(origins), new Set(['till http', 'till persister']))
  assert.ok(collector.headers.every((headers) => headers['x-team'] === 'shop'))
  assert.ok(scriptsRun(coverage).some(isSdk), 'the look at what was run can see it')
})

test('without an endpoint nothing of the SDK is loaded, and a traceparent is not looked at', async (t) => {
  const coverage = temporaryFolder(t)
  const cluster = await startCluster(t, { env: { ...commonEnv, NODE_V8_COVERAGE: coverage } })
  const sale = await currentSale(cluster)
  const headers = { traceparent: traceparent('a', '01') }
  assert.equal((await cluster.http.post(checkoutPath('cara', `${sale}-3`), { headers })).status, 200)
  // A worker that is late with its numbers is left out.
  const metrics = await eventually(async () => {
    const text = await (await fetch(`${cluster.metricsUrl}/metrics`)).text()
    return text.includes('hotcakes_outcomes_total') ? text : undefined
  })
  assert.ok(!metrics.includes('hotcakes_trace_spans_total'))
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  const scripts = scriptsRun(coverage)
  for (const program of ['server/primary/main.js', 'server/worker/main.js', 'workers/persister-main.js']) {
    const url = scripts.find((one) => one.endsWith(program))
    assert.ok(url !== undefined, program)
    // Nor does a program have it inside, to be read at each start.
    assert.ok(!readFileSync(new URL(url), 'utf8').includes('BatchSpanProcessor'), program)
  }
  assert.deepEqual(scripts.filter(isSdk), [])
})

function spansTo(url: string, onExported: SpansOptions['onExported'] = () => undefined): Spans {
  const sampling = { sampler: 'always_on', ratio: 1 }
  return new Spans({ url: `${url}/v1/traces`, headers: {}, ...sampling, resource: {}, onExported })
}

function endOne(spans: Spans): void {
  spans.own('one', { kind: 'internal', startedMs: performance.now(), attributes: {} }).end()
}

test('at the end what is left is sent', async (t) => {
  const collector = await startCollector(t)
  const spans = spansTo(collector.url)
  endOne(spans)
  await spans.close(60_000)
  assert.deepEqual(spans.counts, { sent: 1, failed: 0, dropped: 0 })
  assert.equal(collector.spans.length, 1)
})

test('spans that find no room are dropped and counted, and nobody waits longer for the collector than it should', async (t) => {
  let isAwake = false
  const answer = async () => {
    await eventually(() => isAwake, { what: 'the collector awake' })
    return 400
  }
  const { url } = await startCollector(t, { answer })
  const errors: (Error | undefined)[] = []
  const spans = spansTo(url, (error) => void errors.push(error))
  const count = 3_000
  for (let n = 0; n < count; n++) endOne(spans)
  const room = spansQueuedMax + spansPerExportMax
  assert.deepEqual(spans.counts, { sent: 0, failed: 0, dropped: count - room })

  await spans.close(1)
  assert.deepEqual(spans.counts, { sent: 0, failed: 0, dropped: count - room })

  isAwake = true
  await eventually(() => spans.counts.failed === room, { what: 'every export refused' })
  assert.ok(errors.length > 0 && errors.every((error) => error !== undefined))
})
