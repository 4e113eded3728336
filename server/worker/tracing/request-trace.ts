// Its API alone, which prom-client loads as well.
import { type Attributes, type Span, type SpanContext, SpanStatusCode } from '@opentelemetry/api'

import type { Outcome } from '../../../core/outcomes.ts'
import type { ShedReason } from '../http/request-metrics.ts'

/** From here on it is the server that could not answer. */
const serverErrorMin = 500

/** The span of a sampled request: from its arrival to its answer. It names no buyer, no item and no code. */
export class RequestTrace {
  readonly #span: Span

  constructor(span: Span) {
    this.#span = span
  }

  get context(): SpanContext {
    return this.#span.spanContext()
  }

  /** The batch that its command left in; the last of several decided it. */
  sentIn(batch: SpanContext): void {
    this.#span.addLink({ context: batch })
  }

  /** @param position the place of the decision, as Hotcakes-Decision has it */
  decided(outcome: Outcome, position: string): void {
    this.#span.setAttributes({ 'hotcakes.outcome': outcome, 'hotcakes.log.position': position })
  }

  shed(reason: ShedReason): void {
    this.#span.setAttribute('hotcakes.shed', reason)
  }

  answered(status: number): void {
    const attributes: Attributes = { 'http.response.status_code': status }
    if (status >= serverErrorMin) {
      attributes['error.type'] = String(status)
      this.#span.setStatus({ code: SpanStatusCode.ERROR })
    }
    this.#span.setAttributes(attributes)
    this.#span.end(performance.now())
  }

  /** The client has gone before its answer. */
  left(): void {
    this.#span.setAttribute('error.type', 'client_left')
    this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#span.end(performance.now())
  }
}
