import { secret } from './common-settings.ts'
import type { Setting } from './kinds.ts'

/** The defaults and the names are OpenTelemetry's, but for the sampler: `config.tracing`. */
export const tracingSettings = {
  endpoint: {
    format: 'hotcakes-text',
    pattern: /^[^\p{Cc}]{1,1024}$/u,
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    reload: true,
    default: '',
    defaultMeans: 'nothing is traced',
    allowed: 'an http:// or https:// URL',
    doc: 'Where sampled spans go, by OTLP over HTTP as JSON: the URL of a collector, without v1/traces. See docs/TRACING.md.',
  },
  headers: {
    ...secret,
    env: 'OTEL_EXPORTER_OTLP_HEADERS',
    reload: true,
    default: '',
    defaultMeans: 'none',
    doc: 'Headers that the collector asks for, name=value with commas between them, and % escapes in the values.',
  },
  serviceName: {
    format: 'hotcakes-text',
    pattern: /^[^\p{Cc}]{1,255}$/u,
    env: 'OTEL_SERVICE_NAME',
    reload: true,
    default: 'hotcakes',
    allowed: '1 to 255 characters, none of them a control character',
    doc: 'What the spans are said to be of.',
  },
  sampler: {
    format: 'hotcakes-choice',
    env: 'OTEL_TRACES_SAMPLER',
    reload: true,
    default: 'parentbased_traceidratio',
    choices: [
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ],
    doc: 'Which requests have spans. parentbased: a request with a traceparent has them if that says so; what follows is for those without.',
  },
  ratio: {
    format: 'hotcakes-text',
    pattern: /^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/,
    env: 'OTEL_TRACES_SAMPLER_ARG',
    reload: true,
    // One in a thousand: at the rates of a sale that is a span or two at a time, and costs nothing that can be measured.
    default: '0.001',
    allowed: 'a number from 0 to 1, like 0.001',
    doc: 'Share of the requests that a sampler with traceidratio in its name takes.',
  },
} as const satisfies Readonly<Record<string, Setting>>
