import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../faults.ts'
import { loadConfig } from './load.ts'
import { exportHeaders, tracesUrl } from './tracing.ts'

function problemWith(env: Record<string, string>): string {
  try {
    loadConfig({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ...env } })
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'HC_CONFIG')
    return error.message
  }
  return ''
}

test("OpenTelemetry's variables are settings: nothing is traced by default, and one in a thousand with an endpoint", () => {
  assert.equal(loadConfig({ env: {} }).tracing.endpoint, '')
  const { tracing, warnings } = loadConfig({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel.shop.example/otlp/' } })
  assert.deepEqual(
    [tracing.sampler, tracing.ratio, tracing.serviceName],
    ['parentbased_traceidratio', '0.001', 'hotcakes'],
  )
  assert.equal(tracesUrl(tracing.endpoint), 'https://otel.shop.example/otlp/v1/traces')
  assert.deepEqual(warnings, [])
})

test('what cannot be used is refused by its name, and no value is repeated that may be a secret', () => {
  const secret = 'a-secret-of-the-collector'
  const refused: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT must be an http/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `http://me:${secret}@collector` }, /without user and password/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `http://collector/?key=${secret}` }, /without \? and #/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/v1/traces' }, /without \/v1\/traces/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: secret }, /^OTEL_EXPORTER_OTLP_HEADERS must be name=value/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}%` }, /^OTEL_EXPORTER_OTLP_HEADERS/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}%0a` }, /^OTEL_EXPORTER_OTLP_HEADERS/],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_ratio' }, /^OTEL_TRACES_SAMPLER must be one of/],
    [{ OTEL_TRACES_SAMPLER_ARG: '1.5' }, /^OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1/],
    [{ OTEL_TRACES_SAMPLER_ARG: '1%' }, /^OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1/],
  ]
  for (const [env, problem] of refused) {
    const said = problemWith(env)
    assert.match(said, problem)
    assert.ok(!said.includes(secret), said)
  }
})

test('headers for the collector have their escapes taken away, and white space around them', () => {
  assert.deepEqual(exportHeaders(' authorization=Bearer%20a=b , x-team=shop'), {
    authorization: 'Bearer a=b',
    'x-team': 'shop',
  })
  assert.deepEqual(exportHeaders(''), {})
})

test('a sampler without an endpoint, and a slip in a name, are warned about', () => {
  const { warnings } = loadConfig({ env: { OTEL_TRACES_SAMPLER_ARG: '1', OTEL_EXPORTER_OTLP_ENDPONT: 'http://c' } })
  assert.deepEqual(warnings, [
    'OTEL_EXPORTER_OTLP_ENDPONT in the environment is not a setting, did you mean OTEL_EXPORTER_OTLP_ENDPOINT?',
    'without OTEL_EXPORTER_OTLP_ENDPOINT nothing is traced: OTEL_TRACES_SAMPLER_ARG has no effect',
  ])
})
