import assert from 'node:assert/strict'
import type { DecisionReader } from '../../../core/decisions.ts'
import type { HoldCode } from '../../../core/ids.ts'
import type { Exchange } from '../http/exchange.ts'
import { problemByOutcome, problemReplies } from '../http/problems.ts'
import { okHead, purchaseBody, Timestamps } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import type { PendingCommand } from './batcher.ts'
import { decisionHeader, type Selling } from './selling.ts'

/** `POST /purchase?code=` */
export class PurchaseRoute {
  readonly selling: Selling
  readonly timestamps = new Timestamps()
  readonly #reader = new RequestReader()

  constructor(selling: Selling) {
    this.selling = selling
  }

  readonly handle = (exchange: Exchange): void => {
    const { batcher, uncommitted } = this.selling
    const malformed = this.#reader.purchase(exchange.query)
    if (malformed !== undefined) exchange.malformed(malformed)
    else if (uncommitted?.isFull === true) exchange.shed('overloaded')
    else batcher.offer(new Purchase(this, exchange, this.#reader.code))
  }
}

class Purchase implements PendingCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  /** Redis knows who holds the code. */
  readonly user = ''
  readonly arrivedMs: number
  readonly #route: PurchaseRoute
  readonly #exchange: Exchange

  constructor(route: PurchaseRoute, exchange: Exchange, code: HoldCode) {
    this.sale = code.sale
    this.index = code.index
    this.nonce = code.nonce
    this.arrivedMs = exchange.startedMs
    this.#route = route
    this.#exchange = exchange
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { outcome } = decision
    const { metrics, uncommitted } = this.#route.selling
    metrics.decided(outcome)
    const headers = decisionHeader(logId, n)
    if (outcome === 'purchased' || outcome === 'purchased_again') {
      const purchasedAt = this.#route.timestamps.format(decision.purchasedAtMs)
      const { sale, index } = this
      const body = purchaseBody({ sale, index, user: decision.user, purchasedAt })
      if (uncommitted === undefined) this.#exchange.answer(okHead, body, headers)
      else uncommitted.add(logId, { exchange: this.#exchange, body, headers })
      return
    }
    const code = problemByOutcome[outcome]
    assert(code !== undefined, `a purchase was decided ${outcome}`)
    const { head, body } = problemReplies[code]
    this.#exchange.answer(head, body, headers)
  }

  failed(): void {
    this.#exchange.unavailable()
  }

  late(): void {
    this.#exchange.shed('late')
  }
}
