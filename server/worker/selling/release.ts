import { afterCode, type DecisionReader } from '../../../core/decisions.ts'
import type { HoldCode } from '../../../core/ids.ts'
import type { Exchange } from '../http/exchange.ts'
import { okHead, releaseBody } from '../http/replies.ts'
import { RequestReader } from '../http/requests.ts'
import { AnsweredCommand } from './answered-command.ts'
import { answerRejected, decisionHeader, type Selling, shardFor } from './selling.ts'
import type { Shard } from './shard.ts'

/**
 * `POST /release?code=`. With APP_ACK=postgres its answer waits for no commit: a release that gets lost with Redis' disk leaves
 * the hold to its end.
 */
export class ReleaseRoute {
  readonly selling: Selling
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
    shard?.batcher.offer(new Release(this.selling, exchange, { shard, code, buyer: exchange.identity?.buyer }))
  }
}

interface ReleaseOptions {
  readonly shard: Shard
  readonly code: HoldCode
  /** Whose the code has to be; undefined: whoever has it may release. */
  readonly buyer: string | undefined
}

class Release extends AnsweredCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  /** Redis knows who holds the code. */
  readonly user = ''
  readonly #selling: Selling

  constructor(selling: Selling, exchange: Exchange, { shard, code, buyer }: ReleaseOptions) {
    super(exchange, shard)
    this.sale = code.sale
    this.index = code.index
    this.nonce = code.nonce + afterCode({ buyer, isRelease: true })
    this.#selling = selling
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { metrics, shards } = this.#selling
    if (!decision.isDecided) {
      shards.sendOn(this, decision)
      return
    }
    const { outcome } = decision
    metrics.decided(outcome)
    const headers = decisionHeader(this.shard, logId, n)
    if (outcome === 'released' || outcome === 'released_again') {
      const { sale, index } = this
      this.exchange.answer(okHead, releaseBody({ sale, index, user: decision.user }), headers)
      return
    }
    answerRejected(this.exchange, outcome, headers)
  }
}
