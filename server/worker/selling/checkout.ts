import type { DecisionReader } from '../../../core/decisions.ts'
import type { Exchange } from '../http/exchange.ts'
import { checkoutBody, okHead, retryAfterHeader, Timestamps } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import type { PendingCommand } from './batcher.ts'
import { answerRejected, decisionHeader, type Selling } from './selling.ts'

/** `POST /checkout?user_id=&id=` */
export class CheckoutRoute {
  readonly selling: Selling
  readonly timestamps = new Timestamps()
  readonly #reader = new RequestReader()

  constructor(selling: Selling) {
    this.selling = selling
  }

  readonly handle = (exchange: Exchange): void => {
    const malformed = this.#reader.checkout(exchange.query)
    if (malformed !== undefined) exchange.malformed(malformed)
    else this.selling.shards.of(this.#reader.item).batcher.offer(new Checkout(this, exchange, this.#reader))
  }
}

class Checkout implements PendingCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly arrivedMs: number
  readonly #route: CheckoutRoute
  readonly #exchange: Exchange

  constructor(route: CheckoutRoute, exchange: Exchange, { item, user }: RequestReader) {
    this.sale = item.sale
    this.index = item.index
    this.nonce = route.selling.nonces.next()
    this.user = user
    this.arrivedMs = exchange.startedMs
    this.#route = route
    this.#exchange = exchange
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { metrics, onUnlisted } = this.#route.selling
    const { outcome } = decision
    metrics.decided(outcome)
    let headers = decisionHeader(logId, n)
    if (outcome === 'held' || outcome === 'held_again') {
      const expiresAt = this.#route.timestamps.format(decision.expiresAtMs)
      const nonce = outcome === 'held' ? this.nonce : decision.nonce
      this.#exchange.answer(okHead, checkoutBody({ sale: this.sale, index: this.index, nonce, expiresAt }), headers)
      return
    }
    if (outcome === 'sale_unlisted') onUnlisted(this.sale)
    if (outcome === 'item_held') headers += retryAfterHeader(decision.expiresAtMs - decision.nowMs)
    answerRejected(this.#exchange, outcome, headers)
  }

  failed(): void {
    this.#exchange.unavailable()
  }

  late(): void {
    this.#exchange.shed('late')
  }
}
