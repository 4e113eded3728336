import type { Tracing } from '../../../core/tracing/tracing.ts'
import { Exchange, type ExchangeHost } from '../http/exchange.ts'
import { isRepeated } from '../http/repeated-header.ts'
import type { HttpRequest, HttpResponse } from '../http/uws.ts'
import { RequestTrace } from './request-trace.ts'
import { TracedExchange } from './traced-exchange.ts'

/** Makes the exchanges of a route whose requests may be sampled. There is none while nothing is traced. */
export class RouteTracing {
  readonly #tracing: Tracing
  readonly #name: string
  readonly #attributes: Readonly<Record<string, string>>

  constructor(tracing: Tracing, { method, path }: { readonly method: string; readonly path: string }) {
    this.#tracing = tracing
    this.#name = `${method} ${path}`
    this.#attributes = { 'http.request.method': method, 'http.route': path }
  }

  exchange(
    host: ExchangeHost,
    res: HttpResponse,
    request: ConstructorParameters<typeof Exchange>[2],
    req: HttpRequest,
  ): Exchange {
    const span = this.#tracing.spans.request(this.#name, {
      startedMs: request.startedMs,
      attributes: this.#attributes,
      traceparent: traceparentOf(req),
      tracestate: req.getHeader('tracestate'),
    })
    if (span === undefined) return new Exchange(host, res, request)
    return new TracedExchange(host, res, request, new RequestTrace(span))
  }
}

/** Of two of them nobody knows which one counts: as if there were none. */
function traceparentOf(req: HttpRequest): string {
  const traceparent = req.getHeader('traceparent')
  return traceparent !== '' && isRepeated(req, 'traceparent') ? '' : traceparent
}
