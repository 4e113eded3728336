import { formatCode, formatItemId } from '../../../core/ids.ts'
import { keepAliveHintSeconds, retryAfterSecondsMax, retryAfterSecondsMin } from '../limits.ts'
import type { Status } from './request-metrics.ts'

/**
 * The status line and the headers of a reply in one text, `200 OK\r\nContent-Type: ...`, without a line break at the
 * end. uWebSockets.js writes what it is given as the status up to the end of the line, so all of it goes out in one
 * call into C++ instead of one a header.
 */
export interface ReplyHead {
  readonly status: Status
  readonly lines: string
}

export interface Reply {
  readonly head: ReplyHead
  readonly body: string
}

/** Clients that keep connections would otherwise send a request just as theirs is closed for its silence. */
const keepAliveHint = `Keep-Alive: timeout=${keepAliveHintSeconds}`

/** `lines` must not hold anything that a client sent. */
export function replyHead(status: Status, lines: string): ReplyHead {
  return { status, lines: `${lines}\r\n${keepAliveHint}` }
}

const jsonHeaders = 'Content-Type: application/json\r\nCache-Control: no-store'

export const okHead = replyHead(200, `200 OK\r\n${jsonHeaders}`)

/** The head of a 503 that is a report on the server's state and not a problem. It wants a Retry-After. */
export const notReadyHead = replyHead(503, `503 Service Unavailable\r\n${jsonHeaders}`)

/** Seconds to wait after a 503, another number each time: clients that were turned away together are spread out. */
export function jitteredWaitSeconds(): number {
  return retryAfterSecondsMin + Math.floor(Math.random() * (retryAfterSecondsMax - retryAfterSecondsMin + 1))
}

/** A header for the end of a head: whole seconds, at least 1. */
export function retryAfterHeader(ms: number): string {
  return `\r\nRetry-After: ${Math.max(1, Math.ceil(ms / 1_000))}`
}

export function noContentHead(allow: string): ReplyHead {
  return replyHead(204, `204 No Content\r\nAllow: ${allow}`)
}

/**
 * RFC 3339 in UTC with milliseconds. Remembers the last answer: the holds of one batch all expire at the same moment,
 * and a Date for each would cost more than the rest of the reply.
 */
export class Timestamps {
  #ms = Number.NaN
  #text = ''

  format(ms: number): string {
    if (ms !== this.#ms) {
      this.#ms = ms
      this.#text = new Date(ms).toISOString()
    }
    return this.#text
  }
}

export interface HeldItem {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly expiresAt: string
}

/*
 * Bodies are concatenated: every value is a number or of an alphabet without quotes, backslashes and control characters
 * (core/ids.ts), so there is nothing to escape. sale_id is a number: at most 15 digits, exact in a double.
 */

/** `{code, item_id, sale_id, expires_at}` */
export function checkoutBody({ sale, index, nonce, expiresAt }: HeldItem): string {
  return `{"code":"${formatCode(sale, index, nonce)}","item_id":"${formatItemId(sale, index)}","sale_id":${sale},"expires_at":"${expiresAt}"}`
}

export interface PurchasedItem {
  readonly sale: number
  readonly index: string
  readonly user: string
  readonly purchasedAt: string
}

/** `{status, item_id, sale_id, user_id}` */
export function releaseBody({ sale, index, user }: Omit<PurchasedItem, 'purchasedAt'>): string {
  return `{"status":"released","item_id":"${formatItemId(sale, index)}","sale_id":${sale},"user_id":"${user}"}`
}

/** `{status, item_id, sale_id, user_id, purchased_at}` */
export function purchaseBody({ sale, index, user, purchasedAt }: PurchasedItem): string {
  return `{"status":"purchased","item_id":"${formatItemId(sale, index)}","sale_id":${sale},"user_id":"${user}","purchased_at":"${purchasedAt}"}`
}
