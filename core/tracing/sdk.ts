/**
 * OpenTelemetry's SDK, behind what this project needs of it. It takes 11 packages, so no process loads this file before it is to
 * trace something (tracing.ts): the build makes one file of it and its packages, beside those of the programs.
 */

import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, parseTraceParent, TraceState } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type ReadableSpan,
  SamplingDecision,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

import { spanExportIntervalMs, spanExportMsMax, spanLinksMax, spansPerExportMax, spansQueuedMax } from '../limits.ts'

export interface SpansOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** As OTEL_TRACES_SAMPLER has it. */
  readonly sampler: string
  readonly ratio: number
  /** Of all spans of this process. */
  readonly resource: Attributes
  /** After every attempt to send some. `error`: why it failed. */
  readonly onExported: (error: Error | undefined) => void
}

/** What has become of the spans that were ended, counted. */
export interface SpanCounts {
  sent: number
  /** The collector was away, or didn't take them. */
  failed: number
  /** There was no room for them. */
  dropped: number
}

interface RequestFacts {
  readonly startedMs: number
  readonly attributes: Attributes
  /** The headers, '' where there is none. */
  readonly traceparent: string
  readonly tracestate: string
}

interface OwnFacts {
  readonly kind: 'client' | 'internal'
  readonly startedMs: number
  readonly links?: Link[]
  readonly attributes: Attributes
}

/** Times are those of performance.now(). */
export class Spans {
  readonly #sampling: Sampling
  readonly #queue: SpanQueue
  readonly #provider: TracerProvider
  readonly #tracer: Tracer

  constructor({ url, headers, sampler, ratio, resource, onExported }: SpansOptions) {
    this.#sampling = new Sampling(sampler, ratio)
    const exporter = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: spanExportMsMax })
    this.#queue = new SpanQueue(exporter, onExported)
    this.#provider = new TracerProvider({
      // What is sampled is decided here, before anything is made for a request that is not.
      sampler: new AlwaysOnSampler(),
      resource: resourceFromAttributes(resource),
      spanLimits: { linkCountLimit: spanLinksMax },
      spanProcessors: [this.#queue],
    })
    this.#tracer = this.#provider.getTracer('hotcakes')
  }

  get counts(): Readonly<SpanCounts> {
    return this.#queue.counts
  }

  /** Whether anything is ever sampled. */
  get isOn(): boolean {
    return this.#sampling.isOn
  }

  /** Of a request that somebody sent, if it is sampled. A `traceparent` that is none begins a new trace (W3C, 4.3). */
  request(name: string, { startedMs, attributes, traceparent, tracestate }: RequestFacts): Span | undefined {
    const parent = traceparent === '' ? null : parseTraceParent(traceparent)
    const isParentSampled = parent !== null && (parent.traceFlags & TraceFlags.SAMPLED) !== 0
    if (!this.#sampling.takes(parent?.traceId, isParentSampled)) return undefined
    const options = { kind: SpanKind.SERVER, startTime: startedMs, attributes }
    if (parent === null) return this.#tracer.startSpan(name, options, ROOT_CONTEXT)
    const traceState = tracestate === '' ? {} : { traceState: new TraceState(tracestate) }
    const context = trace.setSpanContext(ROOT_CONTEXT, { ...parent, ...traceState, isRemote: true })
    return this.#tracer.startSpan(name, options, context)
  }

  /** Of what this process does by itself: the root of a trace. */
  own(name: string, { kind, startedMs, links = [], attributes }: OwnFacts): Span {
    const kinds = { client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }
    return this.#tracer.startSpan(name, { kind: kinds[kind], startTime: startedMs, links, attributes }, ROOT_CONTEXT)
  }

  /** Sends what is left; after `msMax` it is given up. */
  async close(msMax: number): Promise<void> {
    const closing = this.#provider.shutdown().catch(() => undefined) // onExported has said why
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, msMax)
    })
    await Promise.race([closing, late])
    clearTimeout(timer)
  }
}

/** OpenTelemetry's samplers, without a trace id for each request that isn't taken. */
class Sampling {
  readonly #isParentBased: boolean
  readonly #ratio: number
  readonly #byTraceId: TraceIdRatioBasedSampler

  constructor(sampler: string, ratio: number) {
    this.#isParentBased = sampler.startsWith('parentbased_')
    this.#ratio = sampler.endsWith('always_on') ? 1 : sampler.endsWith('always_off') ? 0 : ratio
    this.#byTraceId = new TraceIdRatioBasedSampler(this.#ratio)
  }

  get isOn(): boolean {
    return this.#isParentBased || this.#ratio > 0
  }

  /** @param traceId the parent's, if there is one */
  takes(traceId: string | undefined, isParentSampled: boolean): boolean {
    if (traceId === undefined) return Math.random() < this.#ratio
    if (this.#isParentBased) return isParentSampled
    const { decision } = this.#byTraceId.shouldSample(ROOT_CONTEXT, traceId)
    return decision === SamplingDecision.RECORD_AND_SAMPLED
  }
}

/** The SDK's queue of ended spans, which are sent some at a time. Where there is no room a span is dropped, and counted. */
class SpanQueue implements SpanProcessor {
  readonly counts: SpanCounts = { sent: 0, failed: 0, dropped: 0 }
  readonly #queue: BatchSpanProcessor
  #queued = 0

  constructor(exporter: SpanExporter, onExported: SpansOptions['onExported']) {
    const counted: SpanExporter = {
      export: (spans, done) => {
        this.#queued -= spans.length
        exporter.export(spans, (result: ExportResult) => {
          const isSent = result.code === ExportResultCode.SUCCESS
          this.counts[isSent ? 'sent' : 'failed'] += spans.length
          onExported(isSent ? undefined : (result.error ?? new Error('not taken')))
          done(result)
        })
      },
      shutdown: () => exporter.shutdown(),
    }
    this.#queue = new BatchSpanProcessor({
      exporter: counted,
      maxQueueSize: spansQueuedMax,
      maxExportBatchSize: spansPerExportMax,
      scheduledDelayMillis: spanExportIntervalMs,
      exportTimeoutMillis: spanExportMsMax,
    })
  }

  onStart(): void {
    // Only what has ended is kept.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#queued >= spansQueuedMax) {
      this.counts.dropped += 1
      return
    }
    this.#queued += 1
    this.#queue.onEnd(span)
  }

  forceFlush(): Promise<void> {
    return this.#queue.forceFlush()
  }

  shutdown(): Promise<void> {
    return this.#queue.shutdown()
  }
}
