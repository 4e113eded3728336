import { afterCode, type DecisionReader } from '../../../core/decisions.ts'
import type { HoldCode } from '../../../core/ids.ts'
import type { Exchange } from '../http/exchange.ts'
import { okHead, purchaseBody, Timestamps } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import { AnsweredCommand } from './answered-command.ts'
import { answerRejected, decisionHeader, type Selling, shardFor } from './selling.ts'
import type { Shard } from './shard.ts'

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
    const shard = this.selling.shards.only ?? shardFor(this.selling, exchange, code)
    if (shard?.uncommitted?.isFull === true) exchange.shed('overloaded', shard.number)
    else shard?.batcher.offer(new Purchase(this, exchange, { shard, code, buyer: exchange.identity?.buyer }))
  }
}

interface PurchaseOptions {
  readonly shard: Shard
  readonly code: HoldCode
  /** Whose the code has to be; undefined: whoever has it may purchase. */
  readonly buyer: string | undefined
}

class Purchase extends AnsweredCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  /** Redis knows who holds the code. */
  readonly user = ''
  readonly #route: PurchaseRoute

  constructor(route: PurchaseRoute, exchange: Exchange, { shard, code, buyer }: PurchaseOptions) {
    super(exchange, shard)
    this.sale = code.sale
    this.index = code.index
    this.nonce = buyer === undefined ? code.nonce : code.nonce + afterCode({ buyer })
    this.#route = route
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { metrics, shards } = this.#route.selling
    if (!decision.isDecided) {
      shards.sendOn(this, decision)
      return
    }
    const { outcome } = decision
    metrics.decided(outcome)
    const headers = decisionHeader(this.shard, logId, n)
    if (outcome === 'purchased' || outcome === 'purchased_again') {
      const purchasedAt = this.#route.timestamps.format(decision.purchasedAtMs)
      const { sale, index } = this
      const body = purchaseBody({ sale, index, user: decision.user, purchasedAt })
      const { uncommitted } = this.shard
      if (uncommitted === undefined) this.exchange.answer(okHead, body, headers)
      else uncommitted.add(logId, { exchange: this.exchange, body, headers })
      return
    }
    answerRejected(this.exchange, outcome, headers)
  }
}
