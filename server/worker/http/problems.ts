import { userIdForm } from '../../../core/ids.ts'
import type { Outcome } from '../../../core/outcomes.ts'
import { problemMembers } from '../../../core/problem-members.ts'
import { type Reply, replyHead } from './replies.ts'

/**
 * The catalogue of problems (RFC 9457) that the API answers with. `code` is stable and what clients branch on; `type` is
 * the same as a URI. docs/ERRORS.md documents every code, and /docs/errors shows that; a test holds them together.
 */
const retryIsSafe = 'Retrying is safe: the same request again has the same effect as once.'

const catalogue = {
  invalid_request: { status: 400, title: 'The request is malformed', detail: 'The request is malformed.' },
  route_unknown: { status: 404, title: 'There is no such resource', detail: 'No resource has this path.' },
  method_not_allowed: {
    status: 405,
    title: 'The resource does not have this method',
    detail: 'The header Allow names the methods that the resource has.',
  },
  item_unknown: { status: 404, title: 'There is no such item', detail: 'The sale has no item with this id.' },
  sale_closed: { status: 410, title: 'The sale is over', detail: 'The sale of this item is over.' },
  sale_not_open: {
    status: 404,
    title: 'The sale is not open yet',
    detail: 'The sale of this item has not opened yet.',
  },
  item_sold: { status: 409, title: 'The item is sold', detail: 'Somebody has purchased this item.' },
  item_held: {
    status: 409,
    title: 'Another user holds the item',
    detail: 'Another user holds this item. It is free again after Retry-After unless it is purchased until then.',
  },
  user_limit_reached: {
    status: 409,
    title: 'The user has as many items as one user may',
    detail:
      'The holds and purchases of this user in this sale have reached the limit. A hold that expires frees its slot.',
  },
  code_unknown: { status: 404, title: 'There is no such code', detail: 'No hold has this code.' },
  code_expired: {
    status: 410,
    title: 'The hold of the code has expired',
    detail: 'The hold of this code has expired, or was given back. Check the item out again.',
  },
  unauthorized: {
    status: 401,
    title: 'The request has no token that counts',
    detail: 'A token of the buyer is needed: the header Authorization with Bearer and the token.',
  },
  buyer_mismatch: {
    status: 403,
    title: 'The token is of another buyer',
    detail: 'The token does not act for this user. A user_id may be left out: it is that of the token.',
  },
  no_buyer: {
    status: 403,
    title: 'The token names no buyer',
    detail: `The token is genuine, but its claim that names the buyer is missing or is no user id: ${userIdForm}.`,
  },
  code_of_another: {
    status: 403,
    title: 'The code is of another user',
    detail: 'The hold or the purchase of this code is of another user than the one who asks.',
  },
  item_purchased: {
    status: 409,
    title: 'The item is purchased with this code',
    detail: 'The item was purchased with this code. A purchase can not be released.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests came from this address or buyer',
    detail: 'Too many requests came from this address; this one was not looked at. RateLimit-Policy says how many may.',
  },
  sale_unknown: {
    status: 404,
    title: 'There is no such sale',
    detail: 'No sale with this number has been opened, or it is too long past for what was asked.',
  },
  purchase_unknown: {
    status: 404,
    title: 'There is no such purchase',
    detail: 'Nothing was purchased with this code.',
  },
  overloaded: {
    status: 503,
    title: 'Too many requests are waiting',
    detail: `Too many requests are waiting; this one was not looked at. ${retryIsSafe}`,
  },
  backlog_full: {
    status: 503,
    title: 'Nothing more can be put on record at the moment',
    detail: `Too much waits to be put on record; this request was not looked at. ${retryIsSafe}`,
  },
  unavailable: {
    status: 503,
    title: 'The outcome is not known',
    detail: `Redis did not answer, so no decision was taken or it is not known. ${retryIsSafe}`,
  },
  unrecorded: {
    status: 503,
    title: 'The record of the decision is not confirmed',
    detail: `The request was decided, but it is not confirmed that the decision will last (APP_ACK). ${retryIsSafe}`,
  },
  recovering: {
    status: 503,
    title: 'The state of the sales is being checked or rebuilt',
    detail: `Redis has to be compared with the record, or rebuilt from it; the request was not looked at. ${retryIsSafe}`,
  },
  records_unavailable: {
    status: 503,
    title: 'The records cannot be read',
    detail: `Postgres did not answer. Selling goes on without it. ${retryIsSafe}`,
  },
  record_behind: {
    status: 503,
    title: 'The record does not have it yet',
    detail: `What was asked for did not get into the record within the wait. ${retryIsSafe}`,
  },
  keys_unavailable: {
    status: 503,
    title: 'Tokens cannot be checked at the moment',
    detail: `The keys that tokens are checked with cannot be looked up; the request was not looked at. ${retryIsSafe}`,
  },
  shutting_down: {
    status: 503,
    title: 'The server is shutting down',
    detail: `This server is shutting down; the request was not looked at. ${retryIsSafe}`,
  },
} as const satisfies Record<string, { status: number; title: string; detail: string }>

export type ProblemCode = keyof typeof catalogue
export const problemCodes = Object.keys(catalogue) as ProblemCode[]

/**
 * What a decision is answered with: a problem, or `undefined` for a success. Outcomes that differ only in whether Redis
 * lists the sale are told apart in the record, not to the client.
 */
export const problemByOutcome = {
  held: undefined,
  held_again: undefined,
  item_unknown: 'item_unknown',
  sale_closed: 'sale_closed',
  sale_not_open: 'sale_not_open',
  item_sold: 'item_sold',
  item_held: 'item_held',
  user_limit_reached: 'user_limit_reached',
  sale_gone: 'sale_closed',
  sale_unlisted: 'sale_not_open',
  released: undefined,
  released_again: undefined,
  release_sold: 'item_purchased',
  release_unknown: 'code_unknown',
  release_expired: 'code_expired',
  release_unlisted: 'code_unknown',
  release_of_another: 'code_of_another',
  purchased: undefined,
  purchased_again: undefined,
  code_unknown: 'code_unknown',
  code_expired: 'code_expired',
  code_unlisted: 'code_unknown',
  code_of_another: 'code_of_another',
} as const satisfies Record<Outcome, ProblemCode | undefined>

/** What the catalogue says of a code. */
export function problemFacts(code: ProblemCode): {
  readonly status: number
  readonly title: string
  readonly detail: string
} {
  return catalogue[code]
}

/**
 * Where this server's page says what a code means. Relative, so it resolves against the request's URI: right whatever name the
 * server is reached by, and the same bytes in each reply. A gateway that puts a path in front of the API's has to serve it too.
 */
function problemDocUrl(code: ProblemCode): string {
  return `/docs/errors#${code}`
}

const headers = 'Content-Type: application/problem+json\r\nCache-Control: no-store'
const phrases = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
} as const

/** The members of a problem, in the order in which they are sent. @param detail instead of the catalogue's */
export function problemBody(code: ProblemCode, detail?: string) {
  return { ...problemMembers(code, catalogue[code], detail), doc_url: problemDocUrl(code) }
}

/** A whole reply with the problem of that code. @param options.detail instead of the catalogue's */
export function problemReply(code: ProblemCode, options: { detail?: string; header?: string } = {}): Reply {
  const { status } = catalogue[code]
  const extra = options.header === undefined ? '' : `\r\n${options.header}`
  return {
    head: replyHead(status, `${status} ${phrases[status]}\r\n${headers}${extra}`),
    body: JSON.stringify(problemBody(code, options.detail)),
  }
}

export const problemReplies = Object.fromEntries(problemCodes.map((code) => [code, problemReply(code)])) as Readonly<
  Record<ProblemCode, Reply>
>
