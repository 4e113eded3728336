import type { DecisionReader } from '../../../core/decisions.ts'
import type { Exchange } from '../http/exchange.ts'
import { checkoutBody, okHead, retryAfterHeader, Timestamps } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import { AnsweredCommand } from './answered-command.ts'
import { answerRejected, decisionHeader, type Selling, shardFor } from './selling.ts'
import type { Shard } from './shard.ts'

/** `POST /checkout?user_id=&id=` */
export class CheckoutRoute {
  readonly selling: Selling
  readonly timestamps = new Timestamps()
  readonly #reader = new RequestReader()

  constructor(selling: Selling) {
    this.selling = selling
  }

  readonly handle = (exchange: Exchange): void => {
    const { identity } = exchange
    const malformed = this.#reader.checkout(exchange.query, identity?.buyer)
    if (malformed !== undefined) {
      exchange.malformed(malformed)
      return
    }
    if (identity?.actsFor(this.#reader.user) === false) {
      exchange.reply(identity.mismatch)
      return
    }
    const shard = this.selling.shards.only ?? shardFor(this.selling, exchange, this.#reader.item)
    shard?.batcher.offer(new Checkout(this, exchange, shard, this.#reader))
  }
}

class Checkout extends AnsweredCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly #route: CheckoutRoute

  constructor(route: CheckoutRoute, exchange: Exchange, shard: Shard, { item, user }: RequestReader) {
    super(exchange, shard)
    this.sale = item.sale
    this.index = item.index
    this.nonce = route.selling.nonces.next()
    this.user = user
    this.#route = route
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { metrics, shards, onUnlisted } = this.#route.selling
    if (!decision.isDecided) {
      if (decision.reply === 'rights_elsewhere') shards.rights.seek(this)
      else shards.sendOn(this, decision)
      return
    }
    const { outcome } = decision
    metrics.decided(outcome)
    let headers = decisionHeader(this.shard, logId, n)
    if (outcome === 'held' || outcome === 'held_again') {
      const expiresAt = this.#route.timestamps.format(decision.expiresAtMs)
      const nonce = outcome === 'held' ? this.nonce : decision.nonce
      this.exchange.answer(okHead, checkoutBody({ sale: this.sale, index: this.index, nonce, expiresAt }), headers)
      return
    }
    if (outcome === 'sale_unlisted') onUnlisted(this.sale, this.shard.number)
    if (outcome === 'item_held') headers += retryAfterHeader(decision.expiresAtMs - decision.nowMs)
    answerRejected(this.exchange, outcome, headers)
  }
}
