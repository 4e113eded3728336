import type { DecisionReader } from '../../../core/decisions.ts'
import type { Fault } from '../../../core/faults.ts'
import type { Exchange } from '../http/exchange.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { RequestTrace } from '../tracing/request-trace.ts'
import type { BuyerCommand } from './buyer-command.ts'
import { answerFailed } from './selling.ts'
import type { Shard } from './shard.ts'

/** A command whose answers go to an exchange: all of them but that to its decision, which is each kind's own. */
export abstract class AnsweredCommand implements BuyerCommand<Shard> {
  abstract readonly sale: number
  abstract readonly index: string
  abstract readonly nonce: string
  abstract readonly user: string
  readonly arrivedMs: number
  shard: Shard
  protected readonly exchange: Exchange

  constructor(exchange: Exchange, shard: Shard) {
    this.arrivedMs = exchange.admittedMs
    this.shard = shard
    this.exchange = exchange
  }

  abstract decided(decision: DecisionReader, logId: string, n: number): void

  get trace(): RequestTrace | undefined {
    return this.exchange.trace
  }

  failed(fault: Fault): void {
    answerFailed(this.exchange, fault)
  }

  late(): void {
    this.exchange.shed('late', this.shard.number)
  }

  shed(reason: ShedReason, shard?: number): void {
    this.exchange.shed(reason, shard)
  }

  unavailable(): void {
    this.exchange.unavailable()
  }
}
