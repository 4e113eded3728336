import assert from 'node:assert/strict'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

import { hostAndPort, listenHosts } from '../../../core/config/listen-hosts.ts'
import { Fault } from '../../../core/faults.ts'
import type { Identity } from '../buyers/identity.ts'
import type { SignedBuyers } from '../buyers/signed-buyers.ts'
import { drainCheckMs, drainIdleMs, retireIdleMs, retireListenMsMax, retireQuietMs } from '../limits.ts'
import type { RouteTracing } from '../tracing/route-tracing.ts'
import { addressKey } from './client-address.ts'
import type { Connections } from './connections.ts'
import type { Cors } from './cors.ts'
import { Exchange, type ExchangeHost } from './exchange.ts'
import { HeldRefusals } from './held-refusals.ts'
import { percentDecoded } from './percent-encoding.ts'
import type { Phase } from './phase.ts'
import { problemReply } from './problems.ts'
import type { RateLimit } from './rate-limit.ts'
import { isRepeated } from './repeated-header.ts'
import { noContentHead } from './replies.ts'
import { type RequestMetrics, type ShedReason, type Status, statusAborted } from './request-metrics.ts'
import type { TurnClock } from './turn-clock.ts'
import { turnedAway } from './turned-away.ts'
import {
  App,
  closeListenSocket,
  type HttpRequest,
  type HttpResponse,
  type TemplatedApp,
  type us_listen_socket,
} from './uws.ts'

export interface Route {
  /** May have one parameter, `/items/:id`: the exchange's `parameter`. In the metrics the route is labelled so. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  /** Answers the exchange, now or later. A GET route serves HEAD as well. */
  readonly handle: (exchange: Exchange) => void
  /** Asked before anything else is done for a request, but for HEAD. A reason turns it away. */
  readonly refusal?: () => ShedReason | undefined
  /** Its answers have an ETag, and its exchanges `ifNoneMatch` and `acceptEncoding`. */
  readonly isTagged?: boolean
  /** For those who watch the server: the rate limit spares it. */
  readonly isProbe?: boolean
  /** What it does or tells is a buyer's: with APP_BUYERS=signed it needs a token, and its exchanges have an identity. */
  readonly isOfBuyer?: boolean
  /** Its requests may be sampled; `undefined`: nothing is traced, and no header is read for it. */
  readonly tracing?: RouteTracing | undefined
}

/** The label of requests that no route has. */
const otherRoute = 'other'

/** The routes' labels in the metrics, in the order that the server counts by. */
export function routeLabels(routes: readonly Pick<Route, 'path'>[]): string[] {
  return [...routes.map(({ path }) => path), otherRoute]
}

export interface HttpServerOptions {
  readonly routes: readonly Route[]
  readonly metrics: RequestMetrics
  readonly clock: TurnClock
  readonly phase: Phase
  readonly connections: Connections
  /** Has WebSockets of its own to register. */
  readonly board?: { attach(app: TemplatedApp, onClosed: () => void): void }
  /** `undefined`: an address may ask as often as it likes. */
  readonly rateLimit: RateLimit | undefined
  /** `undefined`: pages of other origins may not read the answers. */
  readonly cors: Cors | undefined
  /** `undefined`: nobody is asked who he is. */
  readonly buyers?: Pick<SignedBuyers, 'known' | 'check' | 'refusal'> | undefined
}

interface Registered extends Omit<Route, 'path' | 'method'> {
  readonly hasParameter?: boolean
  /** The route's place in the metrics. */
  readonly place: number
  /** fallback: whatever method or path came, the answer is that there is no such thing. */
  readonly kind: 'route' | 'head' | 'fallback'
  /** Of an OPTIONS: the methods that there are. */
  readonly allow?: string
}

type Entry = (res: HttpResponse, req: HttpRequest) => void

/**
 * uWebSockets.js with one way in and one way out: every request becomes an Exchange, every answer is written here. It
 * listens on a socket of its own (SO_REUSEPORT): the kernel spreads the connections over the workers.
 */
export class HttpServer implements ExchangeHost {
  readonly #app: TemplatedApp
  readonly #metrics: RequestMetrics
  readonly #clock: TurnClock
  readonly #connections: Connections
  readonly #rateLimit: RateLimit | undefined
  readonly #cors: Cors | undefined
  readonly #buyers: HttpServerOptions['buyers']
  #listenSockets: us_listen_socket[] = []
  readonly #phase: Phase
  readonly #refusals: HeldRefusals
  /** Exchanges without their answer: each is counted once, and once taken off. */
  #pending = 0
  #lastRequestMs = 0
  #lastConnectedMs = 0

  // What #writeOut is to write: cork() wants a function, and a closure for each answer can be saved.
  #res: HttpResponse | undefined
  #lines = ''
  #body: string | Uint8Array = ''
  #closes = false
  #isBodiless = false

  constructor({ routes, metrics, clock, phase, connections, rateLimit, cors, board, buyers }: HttpServerOptions) {
    this.#app = App()
    this.#metrics = metrics
    this.#clock = clock
    this.#phase = phase
    this.#connections = connections
    this.#refusals = new HeldRefusals(() => clock.refresh())
    this.#rateLimit = rateLimit
    this.#cors = cors
    this.#buyers = buyers
    this.#app.filter((res, change) => {
      if (change > 0) this.#lastConnectedMs = clock.now()
      if (change < 0) connections.closed()
      else connections.opened(res)
    })
    board?.attach(this.#app, () => connections.closed())
    for (const [place, route] of routes.entries()) this.#register(route, place)
    this.#app.any('/*', this.#entry({ handle: answerUnknown, place: routes.length, kind: 'fallback' }))
  }

  /** @throws Fault HC_PORT_IN_USE */
  async listen(host: string, port: number): Promise<void> {
    for (const hosts of listenHosts(host)) {
      for (const one of hosts) {
        const token = await new Promise<us_listen_socket | false>((resolve) => this.#app.listen(one, port, resolve))
        if (token === false) break
        this.#listenSockets.push(token)
      }
      if (this.#listenSockets.length === hosts.length) return
      this.#stopListening()
    }
    const where = hostAndPort(host, port)
    throw new Fault('HC_PORT_IN_USE', `cannot listen on ${where}: the port is taken or the address is not local`)
  }

  /**
   * Takes no new connections, answers all that comes on the old ones, and resolves when every connection is closed or
   * silent. Nothing that was accepted is left unanswered.
   */
  async drain(): Promise<void> {
    this.#move('draining')
    this.#stopListening()
    await this.#closeWhenSilent(drainIdleMs)
  }

  /**
   * The same, while others serve the port: stops listening in a moment in which nobody is about to connect, and gives
   * idle connections longer. Nobody is sent away before: he would connect anew, and perhaps here. A client that connects for
   * each request may still be reset, once in many hundred times, unless the kernel hands waiting connections to the others
   * (Linux: net.ipv4.tcp_migrate_req = 1).
   */
  async retire(): Promise<void> {
    const deadline = performance.now() + retireListenMsMax
    // In the rest of this turn the sockets may not be looked at any more.
    await nextTurn()
    await nextTurn()
    while (performance.now() < deadline && performance.now() - this.#lastConnectedMs < retireQuietMs) {
      await untilNextLook()
    }
    this.#move('retiring')
    this.#stopListening()
    await this.#closeWhenSilent(retireIdleMs)
  }

  /** Takes nothing new at all, and resolves when what was accepted is answered, after `ms` at the latest. */
  async stop(ms: number): Promise<void> {
    this.#move('stopping')
    this.#stopListening()
    const deadline = performance.now() + ms
    while (this.#pending > 0 && performance.now() < deadline) await delay(drainCheckMs)
    this.#app.close()
  }

  /** Requests that are turned away and wait for their answer. */
  get refusalsWaiting(): number {
    return this.#refusals.count
  }

  write(
    exchange: Exchange,
    res: HttpResponse,
    reply: { status: Status; lines: string; body: string | Uint8Array },
  ): void {
    this.#pending -= 1
    assert(this.#pending >= 0 && this.#res === undefined, 'an exchange is answered once, and one at a time')
    this.#res = res
    this.#lines = exchange.cors === '' ? reply.lines : reply.lines + exchange.cors
    this.#body = reply.body
    this.#closes = this.#phase.name !== 'serving' || exchange.closes
    this.#isBodiless = exchange.isHead || reply.status === 204 || reply.status === 304
    // Given a length, endWithoutBody goes on to wait for so many bytes; so the header is written like the others.
    if (exchange.isHead && !this.#closes) this.#lines += `\r\nContent-Length: ${Buffer.byteLength(reply.body)}`
    res.cork(this.#writeOut)
    this.#metrics.answered(exchange.route, reply.status, (this.#clock.now() - exchange.startedMs) / 1_000)
  }

  left(exchange: Exchange): void {
    this.#pending -= 1
    this.#metrics.answered(exchange.route, statusAborted, (this.#clock.now() - exchange.startedMs) / 1_000)
  }

  shed(exchange: Exchange, reason: ShedReason, shard?: number): void {
    this.#metrics.shed(reason, shard)
    if (this.#holdsBack(reason)) this.#refusals.hold(exchange, reason)
    else exchange.reply(turnedAway(reason))
  }

  /** Whoever is going keeps nobody waiting: its connections are to find another worker, or a server that comes. */
  #holdsBack(reason: ShedReason): boolean {
    return this.#phase.name === 'serving' && this.#refusals.takes(reason)
  }

  #move(to: 'retiring' | 'draining' | 'stopping'): void {
    this.#phase.move(to)
    this.#refusals.release()
    this.#connections.release()
  }

  readonly #writeOut = (): void => {
    const res = this.#res as HttpResponse
    this.#res = undefined
    res.writeStatus(this.#lines)
    if (!this.#isBodiless) res.end(this.#body, this.#closes)
    else if (this.#closes) res.endWithoutBody(Buffer.byteLength(this.#body), true)
    else res.endWithoutBody()
  }

  #register({ path, method, ...rest }: Route, place: number): void {
    const route = { ...rest, hasParameter: path.includes('/:') }
    const app = this.#app
    const allow = method === 'GET' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS'
    const entry = this.#entry({ ...route, place, kind: 'route' })
    if (method === 'GET') app.get(path, entry).head(path, this.#entry({ ...route, place, kind: 'head' }))
    else app.post(path, entry)
    const options = noContentHead(allow)
    app.options(path, this.#entry({ handle: (exchange) => exchange.answer(options, ''), place, kind: 'route', allow }))
    const notAllowed = problemReply('method_not_allowed', { header: `Allow: ${allow}` })
    app.any(path, this.#entry({ handle: (exchange) => exchange.reply(notAllowed), place, kind: 'fallback' }))
  }

  /** The one way in, past the rate limit. Without one, or for those that it spares, it costs nothing. */
  #entry(registered: Registered): Entry {
    const limit = this.#rateLimit
    const enter = this.#admitted(registered)
    if (limit === undefined || registered.isProbe) return enter
    const { place, kind } = registered
    // By an exchange like any other answer: no more CPU than an accepted request has (25 us, the kernel's for the most
    // part), and without its cork, answers to pipelined requests are written one by one: 31 us instead of 8, measured.
    const refuse = this.#admitted({ handle: (exchange) => exchange.reply(limit.reply), place, kind })
    return (res, req) => {
      if (limit.takes(addressOf(res), this.#clock.now())) enter(res, req)
      else refuse(res, req)
    }
  }

  /** Everything is read from `req` here: it is gone when this returns. */
  #admitted(registered: Registered): Entry {
    const { handle, refusal, place, kind, allow, tracing, isTagged = false, hasParameter = false } = registered
    const cors = this.#cors
    const isSigned = this.#buyers !== undefined && registered.isOfBuyer === true
    // A HEAD is turned away by its handler: an answer without its body takes an exchange.
    const turnsAway = kind === 'head' ? undefined : refusal
    return (res, req) => {
      const startedMs = this.#clock.now()
      const reason = turnsAway?.()
      if (reason !== undefined && !this.#holdsBack(reason)) {
        this.#lastRequestMs = startedMs
        this.#turnAway(res, place, { reason, closes: hasBody(req), cors: cors?.headers(req) ?? '' })
        return
      }
      // Its types say string, but without a '?' there is none.
      const query = (req.getQuery() as string | undefined) ?? ''
      const isHead = kind === 'head' || (kind === 'fallback' && req.getMethod() === 'head')
      const request = { query, route: place, startedMs, isHead }
      const exchange =
        tracing === undefined ? new Exchange(this, res, request) : tracing.exchange(this, res, request, req)
      if (cors !== undefined)
        exchange.cors = allow === undefined ? cors.headers(req) : cors.preflightHeaders(req, allow)
      if (isTagged) {
        exchange.ifNoneMatch = req.getHeader('if-none-match')
        exchange.acceptEncoding = req.getHeader('accept-encoding')
      }
      if (hasParameter) exchange.parameter = percentDecoded(req.getParameter(0) ?? '')
      this.#pending += 1
      this.#lastRequestMs = startedMs
      // The rest of what the client sends is not to be taken for its next request.
      exchange.closes = hasBody(req)
      if (reason !== undefined) exchange.shed(reason)
      else if (exchange.closes && kind !== 'fallback') exchange.malformed('body')
      else if (this.#phase.name === 'stopping') exchange.shed('shutting_down')
      else if (isSigned) this.#identify(exchange, registered, res, req)
      else handle(exchange)
    }
  }

  /** Whose token is remembered goes on in this turn; whose is not, when it was verified. */
  #identify(exchange: Exchange, registered: Registered, res: HttpResponse, req: HttpRequest): void {
    const buyers = this.#buyers
    assert(buyers !== undefined)
    const authorization = req.getHeader('authorization')
    const identity = buyers.known(authorization)
    if (identity !== undefined) this.#serve(exchange, registered, identity)
    else {
      buyers.check({
        exchange,
        authorization,
        isRepeated: isRepeated(req, 'authorization'),
        address: addressOf(res),
        onIdentity: (verified) => this.#serveVerified(exchange, registered, verified),
      })
    }
  }

  /** Some time has passed: whoever has gone needs nothing decided, and what would have turned it away is asked again. */
  #serveVerified(exchange: Exchange, registered: Registered, identity: Identity): void {
    if (exchange.isGone) return
    exchange.admittedMs = this.#clock.now()
    const reason = this.#phase.name === 'stopping' ? 'shutting_down' : registered.refusal?.()
    if (reason === undefined) this.#serve(exchange, registered, identity)
    else exchange.shed(reason)
  }

  #serve(exchange: Exchange, { handle }: Registered, identity: Identity): void {
    const refusal = this.#buyers?.refusal(identity, this.#clock.now())
    exchange.identity = identity
    if (refusal === undefined) handle(exchange)
    else exchange.reply(refusal)
  }

  /** Nothing outlives this call, and uWebSockets.js has corked the connection for it: no exchange, no cork, no onAborted. */
  #turnAway(
    res: HttpResponse,
    place: number,
    { reason, closes, cors }: { reason: ShedReason; closes: boolean; cors: string },
  ): void {
    const { head, body } = turnedAway(reason)
    res.writeStatus(head.lines + cors).end(body, closes || this.#phase.name !== 'serving')
    this.#metrics.shed(reason)
    this.#metrics.answered(place, head.status, 0)
  }

  #stopListening(): void {
    for (const socket of this.#listenSockets.splice(0)) closeListenSocket(socket)
  }

  /** A connection that stays silent is idle keep-alive: its client has to expect that it is closed. */
  async #closeWhenSilent(idleMs: number): Promise<void> {
    const startedMs = performance.now()
    const isSilent = () => performance.now() - Math.max(startedMs, this.#lastRequestMs) >= idleMs
    do await untilNextLook()
    while (this.#pending > 0 || (this.#connections.open > 0 && !isSilent()))
    this.#app.close()
  }
}

/**
 * After a standstill of the process, timers run before what has come in the meantime is read: without a look at the
 * sockets in between, clients would pass for silent that have long asked.
 */
async function untilNextLook(): Promise<void> {
  await delay(drainCheckMs)
  await nextTurn()
}

function addressOf(res: HttpResponse): string {
  return addressKey(new Uint8Array(res.getRemoteAddress()))
}

function answerUnknown(exchange: Exchange): void {
  exchange.problem('route_unknown')
}

/**
 * This build of uWebSockets.js takes two different Content-Lengths, and encodings that it can't decode: a proxy in front
 * could see other requests than it does. So no request may have a body at all; `Content-Length: 0` once is none. An empty
 * header looks like an absent one, also to uWebSockets.js itself, and hides a second of its name: to look at all headers
 * would cost each request some 0.35 us a header, and proxies refuse such a pair themselves.
 */
function hasBody(req: HttpRequest): boolean {
  if (req.getHeader('transfer-encoding') !== '') return true
  const length = req.getHeader('content-length')
  return length !== '' && (length !== '0' || isRepeated(req, 'content-length'))
}
