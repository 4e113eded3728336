import type { Identity } from '../buyers/identity.ts'
import type { RequestTrace } from '../tracing/request-trace.ts'
import { type ProblemCode, problemReplies } from './problems.ts'
import type { Reply, ReplyHead } from './replies.ts'
import type { ShedReason, Status } from './request-metrics.ts'
import { type Malformed, malformedReplies } from './requests.ts'
import { retryLater } from './turned-away.ts'
import type { HttpResponse } from './uws.ts'

/** What an exchange needs of the server that it belongs to. */
export interface ExchangeHost {
  /** The response is still alive. */
  write(
    exchange: Exchange,
    res: HttpResponse,
    reply: { status: Status; lines: string; body: string | Uint8Array },
  ): void
  /** The client has gone before its answer. */
  left(exchange: Exchange): void
  /** It has to be answered that it is turned away, now or a little later. `shard`: see Exchange.shed. */
  shed(exchange: Exchange, reason: ShedReason, shard?: number): void
}

/**
 * A request and its answer. It is answered once, at any later time; when the client is gone by then, answering does
 * nothing. It outlives the request object of uWebSockets.js, so all that was needed of that is here.
 */
export class Exchange {
  /** The raw query string, '' when there is none. */
  readonly query: string
  /** The place of the route in the metrics. */
  readonly route: number
  /** When it arrived: it is measured and traced from here. */
  readonly startedMs: number
  /**
   * When its deadline begins: at its arrival. That of one whose token was not known begins when it was verified, because it was
   * this server that made it wait, for seconds where it looked for keys. So what is offered later never has an earlier one.
   */
  admittedMs: number
  /** The headers of the answer are sent and its body is not. */
  readonly isHead: boolean
  /** The connection is closed after the answer. */
  closes = false
  /** The header, for routes that ask for it. */
  ifNoneMatch = ''
  /** The header, for the same routes. */
  acceptEncoding = ''
  /** What stands in the path for the parameter of the route's, without escapes; anything that a client may send. */
  parameter = ''
  /** What pages of other origins may do with the answer: headers, each with a line break before it. */
  cors = ''
  /** Whom it acts for, where APP_BUYERS=signed and the route asks. */
  identity: Identity | undefined = undefined
  readonly #host: ExchangeHost
  #res: HttpResponse | undefined

  constructor(
    host: ExchangeHost,
    res: HttpResponse,
    request: { query: string; route: number; startedMs: number; isHead: boolean },
  ) {
    this.query = request.query
    this.route = request.route
    this.startedMs = request.startedMs
    this.admittedMs = request.startedMs
    this.isHead = request.isHead
    this.#host = host
    this.#res = res
    // Without it uWebSockets.js ends the process when the client goes away. The response must not be touched after.
    res.onAborted(() => {
      if (this.#res === undefined) return
      this.#res = undefined
      host.left(this)
    })
  }

  /** It was answered, or its client is not there any more: nothing that is done for it reaches anybody. */
  get isGone(): boolean {
    return this.#res === undefined
  }

  /** Of one that is sampled: see TracedExchange. */
  get trace(): RequestTrace | undefined {
    return undefined
  }

  /** `headers`: further ones, each with a line break before it. Must not hold what a client sent. */
  answer(head: ReplyHead, body: string | Uint8Array, headers = ''): void {
    const res = this.#res
    if (res === undefined) return
    this.#res = undefined
    this.#host.write(this, res, { status: head.status, lines: head.lines + headers, body })
  }

  reply({ head, body }: Reply): void {
    this.answer(head, body)
  }

  malformed(malformed: Malformed): void {
    this.reply(malformedReplies[malformed])
  }

  problem(code: ProblemCode): void {
    this.reply(problemReplies[code])
  }

  /** Redis gave no decision: 503, and that a retry is safe. */
  unavailable(): void {
    this.reply(retryLater('unavailable'))
  }

  /** It was decided, and it is not known whether its record is permanent: 503, and that a retry is safe. */
  unrecorded(): void {
    this.reply(retryLater('unrecorded'))
  }

  /**
   * Turns the request away without looking at it.
   * @param shard the one whose reason it is, of several
   */
  shed(reason: ShedReason, shard?: number): void {
    this.#host.shed(this, reason, shard)
  }
}
