import type { IncomingMessage, ServerResponse } from 'node:http'

import { Fault } from '../../../core/faults.ts'
import { purchasesAnswerMsMax, purchasesReadersMax } from '../../../core/limits.ts'
import { type PurchasesProblemCode, purchasesProblem } from '../../../core/purchases/problems.ts'
import { toldPurchase } from '../../../core/purchases/recorded-purchase.ts'
import { acceptedFormat, type PurchasesFormat } from './accept.ts'
import type { PurchaseFeed, PurchasesPage } from './feed.ts'
import { MalformedQuery, type PurchasesQuery, parsePurchasesQuery } from './query.ts'

const retryAfterSeconds = '2'
const commonHeaders = { 'cache-control': 'no-store', vary: 'Accept' }

/** GET /purchases: the purchases in the order of the record, a page a request, behind the cursor of the page before. */
export class PurchasesRoute {
  readonly #feed: Pick<PurchaseFeed, 'page'>
  #readers = 0

  constructor(feed: Pick<PurchaseFeed, 'page'>) {
    this.#feed = feed
  }

  /** Answers it. Throws for a bug alone. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET') return refuse(response, 'method_not_allowed', { headers: { allow: 'GET' } })
    if (hasBody(request)) {
      // It is not read, and what comes next on the connection would be it.
      const headers = { connection: 'close' }
      return refuse(response, 'invalid_request', { detail: 'The request must have no body.', headers })
    }
    const format = acceptedFormat(request.headers.accept)
    if (format === undefined) return refuse(response, 'not_acceptable')
    let query: PurchasesQuery
    try {
      query = parsePurchasesQuery(queryOf(request))
    } catch (error) {
      if (!(error instanceof MalformedQuery)) throw error
      return refuse(response, 'invalid_request', { detail: error.message })
    }
    if (this.#readers >= purchasesReadersMax) return refuse(response, 'overloaded')
    this.#readers++
    const late = setTimeout(() => response.destroy(), purchasesAnswerMsMax)
    response.once('close', () => {
      clearTimeout(late)
      this.#readers--
    })
    await this.#page(response, { ...query, format })
  }

  async #page(
    response: ServerResponse,
    { after, limit, format }: PurchasesQuery & { readonly format: PurchasesFormat },
  ): Promise<void> {
    try {
      const page = await this.#feed.page(after, limit)
      if (page.kind === 'page') tell(response, page, format)
      else refuse(response, page.kind, { detail: page.detail })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      refuse(response, error.code === 'HC_POSTGRES_BUSY' ? 'overloaded' : 'records_unavailable')
    }
  }
}

function queryOf(request: IncomingMessage): string {
  const { url = '' } = request
  const start = url.indexOf('?')
  return start === -1 ? '' : url.slice(start + 1)
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** The cursor is a header in both formats: a line that is no purchase would be in the way of whoever reads lines. */
function tell(response: ServerResponse, page: PurchasesPage, format: PurchasesFormat): void {
  const { next, hasMore: more } = page
  const purchases = page.purchases.map(toldPurchase)
  const text =
    format === 'application/json'
      ? JSON.stringify({ purchases, next, more })
      : purchases.map((purchase) => `${JSON.stringify(purchase)}\n`).join('')
  const headers = { 'content-type': format, 'hotcakes-cursor': next, 'hotcakes-more': String(more) }
  send(response, 200, { text, headers })
}

function refuse(
  response: ServerResponse,
  code: PurchasesProblemCode,
  { detail, headers = {} }: { detail?: string; headers?: Record<string, string> } = {},
): void {
  const problem = purchasesProblem(code, detail)
  const retry = problem.status === 503 ? { 'retry-after': retryAfterSeconds } : {}
  const type = { 'content-type': 'application/problem+json' }
  send(response, problem.status, { text: JSON.stringify(problem), headers: { ...type, ...retry, ...headers } })
}

function send(
  response: ServerResponse,
  status: number,
  { text, headers }: { text: string; headers: Record<string, string> },
): void {
  response.writeHead(status, { ...commonHeaders, ...headers, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
