import { rateLimitKeysMax } from '../limits.ts'
import { problemReply } from './problems.ts'
import type { Reply } from './replies.ts'

const windowMs = 1_000

/** Whose requests are counted, and what is told of it. */
const details = {
  address: undefined, // the catalogue's
  buyer: 'Too many requests came from this buyer; this one was not looked at. RateLimit-Policy says how many may.',
} as const

/**
 * How often an address or a buyer may ask one worker: so many requests at once and so many a second from then on. Of each
 * only the time is kept at which its bucket is full again (the generic cell rate algorithm); past that it need not be
 * known at all. So they are kept in two generations, and the older one is dropped as a whole.
 */
export class RateLimit {
  /** What is answered instead, with the fields of draft-ietf-httpapi-ratelimit-headers-11. It is the same for all. */
  readonly reply: Reply
  readonly #requestMs: number
  /** Whose -> when the bucket is full again, in the caller's ms: never more than a window ahead. */
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #bornMs = Number.NEGATIVE_INFINITY

  constructor(requestsPerSecond: number, whose: keyof typeof details) {
    this.#requestMs = windowMs / requestsPerSecond
    const fields = `RateLimit-Policy: "${whose}";q=${requestsPerSecond};w=1\r\nRateLimit: "${whose}";r=0;t=1`
    const detail = details[whose]
    this.reply = problemReply('rate_limited', {
      header: `Retry-After: 1\r\n${fields}`,
      ...(detail !== undefined && { detail }),
    })
  }

  /** Takes a request, or says `false`: too many. @param nowMs of a clock that never goes back */
  takes(key: string, nowMs: number): boolean {
    if (nowMs - this.#bornMs >= windowMs || this.#young.size >= rateLimitKeysMax) this.#age(nowMs)
    const fullMs = Math.max(nowMs, this.#young.get(key) ?? this.#old.get(key) ?? nowMs) + this.#requestMs
    if (fullMs - nowMs > windowMs) return false
    this.#young.set(key, fullMs)
    return true
  }

  /** Those of the old generation were not heard of for a whole window, so their buckets are full. */
  #age(nowMs: number): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#bornMs = nowMs
  }
}
