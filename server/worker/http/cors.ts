import { preflightSecondsMax } from '../limits.ts'
import type { HttpRequest } from './uws.ts'

/** What a page may read of an answer beyond its body, its type and its length. */
const exposedHeaders = [
  'Hotcakes-Decision',
  'Hotcakes-Lag',
  'Hotcakes-Position',
  'Retry-After',
  'ETag',
  'RateLimit',
  'RateLimit-Policy',
  'WWW-Authenticate',
]

/**
 * Which other origins' pages may read the answers (APP_ALLOWED_ORIGINS). Every header is built beforehand, so nothing
 * that a client sent is ever echoed. Each method gives headers with a line break before each.
 */
export class Cors {
  readonly #byOrigin: ReadonlyMap<string, string>
  readonly #others: string

  /** @param origins as browsers send them, or `*` alone: every origin */
  constructor(origins: readonly string[]) {
    const expose = `\r\nAccess-Control-Expose-Headers: ${exposedHeaders.join(', ')}`
    const isOpen = origins.includes('*')
    const named = isOpen ? [] : origins
    this.#byOrigin = new Map(
      named.map((origin) => [origin, `\r\nAccess-Control-Allow-Origin: ${origin}\r\nVary: Origin${expose}`]),
    )
    // A cache must not give to one origin what was said to another, or to a request without one.
    this.#others = isOpen ? `\r\nAccess-Control-Allow-Origin: *${expose}` : '\r\nVary: Origin'
  }

  headers(req: HttpRequest): string {
    return this.#byOrigin.size === 0 ? this.#others : (this.#byOrigin.get(req.getHeader('origin')) ?? this.#others)
  }

  /** Of the answer to an OPTIONS. Any header may be sent, because none but If-None-Match, Authorization and a traceparent is looked at, and a token is no cookie. */
  preflightHeaders(req: HttpRequest, allow: string): string {
    const headers = this.headers(req)
    if (!headers.includes('Access-Control-Allow-Origin')) return headers
    const may = `\r\nAccess-Control-Allow-Methods: ${allow}\r\nAccess-Control-Allow-Headers: *, Authorization`
    return `${headers}${may}\r\nAccess-Control-Max-Age: ${preflightSecondsMax}`
  }
}
