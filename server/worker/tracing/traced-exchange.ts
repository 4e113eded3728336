import { Exchange, type ExchangeHost } from '../http/exchange.ts'
import type { ShedReason, Status } from '../http/request-metrics.ts'
import type { HttpResponse } from '../http/uws.ts'
import type { RequestTrace } from './request-trace.ts'

/** The exchange of a sampled request. All others know nothing of tracing. */
export class TracedExchange extends Exchange {
  readonly #trace: RequestTrace

  constructor(
    host: ExchangeHost,
    res: HttpResponse,
    request: ConstructorParameters<typeof Exchange>[2],
    trace: RequestTrace,
  ) {
    super(new TracedHost(host, trace), res, request)
    this.#trace = trace
  }

  override get trace(): RequestTrace {
    return this.#trace
  }
}

/** Ends the span when the request is answered. */
class TracedHost implements ExchangeHost {
  readonly #host: ExchangeHost
  readonly #trace: RequestTrace

  constructor(host: ExchangeHost, trace: RequestTrace) {
    this.#host = host
    this.#trace = trace
  }

  write(
    exchange: Exchange,
    res: HttpResponse,
    reply: { status: Status; lines: string; body: string | Uint8Array },
  ): void {
    this.#host.write(exchange, res, reply)
    this.#trace.answered(reply.status)
  }

  left(exchange: Exchange): void {
    this.#host.left(exchange)
    this.#trace.left()
  }

  shed(exchange: Exchange, reason: ShedReason, shard?: number): void {
    this.#trace.shed(reason)
    this.#host.shed(exchange, reason, shard)
  }
}
