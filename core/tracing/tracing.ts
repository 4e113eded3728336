import assert from 'node:assert/strict'

import { Counter, type Registry } from 'prom-client'

import type { Config } from '../config/load.ts'
import { exportHeaders, tracesUrl } from '../config/tracing.ts'
import { spanFlushMsMax } from '../limits.ts'
import type { Log } from '../log.ts'
import { packageVersion } from '../package-version.ts'
import type { SpanCounts, Spans } from './sdk.ts'

interface TracingParts {
  readonly registry: Registry
  readonly log: Log
  readonly process: { readonly process: 'http' | 'persister'; readonly number: string }
}

/** `undefined` without OTEL_EXPORTER_OTLP_ENDPOINT: nothing of OpenTelemetry is loaded then. */
export function tracingOf(config: Config, parts: TracingParts): Tracing | undefined {
  return config.tracing.endpoint === '' ? undefined : new Tracing(config, parts)
}

/** The spans of a process, from `open` on. */
export class Tracing {
  readonly #config: Config
  readonly #parts: TracingParts
  #spans: Spans | undefined
  #isFailing = false

  constructor(config: Config, parts: TracingParts) {
    this.#config = config
    this.#parts = parts
    publishCounts(parts.registry, () => this.#spans?.counts)
  }

  async open(): Promise<void> {
    const { endpoint, headers, serviceName, sampler, ratio } = this.#config.tracing
    const { process: kind, number } = this.#parts.process
    const sdk = await import('./sdk.ts')
    this.#spans = new sdk.Spans({
      url: tracesUrl(endpoint),
      headers: exportHeaders(headers),
      sampler,
      ratio: Number(ratio),
      resource: {
        'service.name': serviceName,
        'service.version': packageVersion(),
        'process.pid': process.pid,
        'hotcakes.process': kind,
        'hotcakes.process.number': number,
      },
      onExported: (error) => this.#exported(error),
    })
  }

  get spans(): Spans {
    assert(this.#spans !== undefined, 'nothing is traced before it is open')
    return this.#spans
  }

  /** Sends what is left. Takes a tenth of the time that a stop has at most: the record comes first. */
  async close(): Promise<void> {
    const stopMs = this.#config.app.shutdownSeconds * 1_000
    await this.#spans?.close(Math.min(spanFlushMsMax, stopMs / 10))
  }

  /** Said when it changes, and without the collector's words: nobody knows what is in them. */
  #exported(error: Error | undefined): void {
    const isFailing = error !== undefined
    if (isFailing === this.#isFailing) return
    this.#isFailing = isFailing
    const { log } = this.#parts
    if (isFailing) log.warn({ reason: codeOf(error) }, 'spans are lost: the collector takes none')
    else log.info('the collector takes spans again')
  }
}

/** A status of HTTP, a code of the system (ECONNREFUSED), or the kind of error. */
function codeOf(error: Error & { readonly code?: string | number }): string {
  return String(error.code ?? error.name)
}

function publishCounts(registry: Registry, counts: () => Readonly<SpanCounts> | undefined): void {
  registry.registerMetric(
    new Counter({
      name: 'hotcakes_trace_spans_total',
      help: 'Spans of sampled requests, batches and commits that have ended (OTEL_EXPORTER_OTLP_ENDPOINT), by what became of them.',
      labelNames: ['result'] as const,
      registers: [],
      collect() {
        this.reset()
        const { sent, failed, dropped } = counts() ?? { sent: 0, failed: 0, dropped: 0 }
        for (const [result, count] of Object.entries({ sent, failed, dropped })) this.inc({ result }, count)
      },
    }),
  )
}
