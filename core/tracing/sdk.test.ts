import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Spans } from './sdk.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const sampled = `00-${traceId}-00f067aa0ba902b7-01`
const unsampled = `00-${traceId}-00f067aa0ba902b7-00`

const onExported = () => undefined

/** Nobody is there. */
function spansWith({ sampler = 'always_on', ratio = 1 } = {}): Spans {
  return new Spans({ url: 'http://127.0.0.1:9/v1/traces', headers: {}, sampler, ratio, resource: {}, onExported })
}

function request(spans: Spans, traceparent: string) {
  return spans.request('POST /checkout', {
    startedMs: performance.now(),
    attributes: {},
    traceparent,
    tracestate: '',
  })
}

const taken = (sampler: string, ratio: number, traceparent: string) =>
  request(spansWith({ sampler, ratio }), traceparent) !== undefined

test('which requests have a span is what the sampler says, by the traceparent or by its ratio', () => {
  for (const sampler of ['parentbased_traceidratio', 'parentbased_always_off']) {
    assert.deepEqual(
      [sampled, unsampled, ''].map((one) => taken(sampler, 0, one)),
      [true, false, false],
      sampler,
    )
  }
  assert.deepEqual(
    [sampled, unsampled, ''].map((one) => taken('parentbased_always_on', 0, one)),
    [true, false, true],
  )
  assert.deepEqual(
    [sampled, unsampled, ''].map((one) => taken('always_off', 1, one)),
    [false, false, false],
  )
  for (const sampler of ['always_on', 'traceidratio']) {
    assert.deepEqual(
      [sampled, unsampled, ''].map((one) => taken(sampler, 1, one)),
      [true, true, true],
      sampler,
    )
  }
  // By the trace's id, so that each service of a trace decides alike.
  assert.deepEqual(
    [sampled, '00-00000000000000000000000000000001-00f067aa0ba902b7-01'].map((one) => taken('traceidratio', 0.1, one)),
    [false, true],
  )
})

test('a traceparent that is none begins a new trace', () => {
  const spans = spansWith()
  const broken = [
    'x',
    sampled.slice(0, -1),
    sampled.toUpperCase(),
    `${sampled}-more`,
    `ff${sampled.slice(2)}`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
  ]
  for (const traceparent of broken) {
    const context = request(spans, traceparent)?.spanContext()
    assert.match(context?.traceId ?? '', /^[\da-f]{32}$/, traceparent)
    assert.notEqual(context?.traceId, traceId, traceparent)
  }
  assert.equal(request(spans, sampled)?.spanContext().traceId, traceId)
  assert.equal(request(spans, `cc${sampled.slice(2)}-what-comes-later`)?.spanContext().traceId, traceId)
})
