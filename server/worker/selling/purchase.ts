import type { DecisionReader } from '../../../core/decisions.ts'
import type { HoldCode } from '../../../core/ids.ts'
import type { Exchange } from '../http/exchange.ts'
import { okHead, purchaseBody, Timestamps } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import type { PendingCommand } from './batcher.ts'
import { answerRejected, decisionHeader, type Selling } from './selling.ts'
import type { UncommittedAnswers } from './uncommitted-answers.ts'

/** `POST /purchase?code=` */
export class PurchaseRoute {
  readonly selling: Selling
  readonly timestamps = new Timestamps()
  readonly #reader = new RequestReader()

  constructor(selling: Selling) {
    this.selling = selling
  }

  readonly handle = (exchange: Exchange): void => {
    const malformed = this.#reader.purchase(exchange.query)
    if (malformed !== undefined) {
      exchange.malformed(malformed)
      return
    }
    const { code } = this.#reader
    const shard = this.selling.shards.of(code)
    if (shard.uncommitted?.isFull === true) exchange.shed('overloaded')
    else shard.batcher.offer(new Purchase(this, exchange, code, shard.uncommitted))
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
  /** Where its answer waits for Postgres; `undefined`: it leaves at once. */
  readonly #uncommitted: UncommittedAnswers | undefined

  constructor(route: PurchaseRoute, exchange: Exchange, code: HoldCode, uncommitted: UncommittedAnswers | undefined) {
    this.sale = code.sale
    this.index = code.index
    this.nonce = code.nonce
    this.arrivedMs = exchange.startedMs
    this.#route = route
    this.#exchange = exchange
    this.#uncommitted = uncommitted
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { outcome } = decision
    this.#route.selling.metrics.decided(outcome)
    const headers = decisionHeader(logId, n)
    if (outcome === 'purchased' || outcome === 'purchased_again') {
      const purchasedAt = this.#route.timestamps.format(decision.purchasedAtMs)
      const { sale, index } = this
      const body = purchaseBody({ sale, index, user: decision.user, purchasedAt })
      if (this.#uncommitted === undefined) this.#exchange.answer(okHead, body, headers)
      else this.#uncommitted.add(logId, { exchange: this.#exchange, body, headers })
      return
    }
    answerRejected(this.#exchange, outcome, headers)
  }

  failed(): void {
    this.#exchange.unavailable()
  }

  late(): void {
    this.#exchange.shed('late')
  }
}
