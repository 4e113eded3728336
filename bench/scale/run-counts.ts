import { Registry } from 'prom-client'
import type { Outcome } from '../../core/outcomes.ts'
import { SellingMetrics } from '../../server/worker/selling/selling-metrics.ts'
import { newHistogram } from '../report/latencies.ts'

/** What happened since `reset`. */
export class RunCounts extends SellingMetrics {
  calls = 0
  commands = 0
  loansAsked = 0
  checkouts = 0
  withoutRight = 0
  undecided = 0
  decisions = 0
  readonly outcomes = new Map<Outcome, number>()
  /** us */
  latencies = newHistogram()

  constructor(shardCount: number) {
    super(new Registry(), shardCount)
  }

  reset(): void {
    this.calls = 0
    this.commands = 0
    this.loansAsked = 0
    this.checkouts = 0
    this.withoutRight = 0
    this.undecided = 0
    this.decisions = 0
    this.outcomes.clear()
    this.latencies = newHistogram()
  }

  override decided(outcome: Outcome): void {
    this.decisions += 1
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
  }

  override batch(_shard: number, commandCount: number): void {
    this.calls += 1
    this.commands += commandCount
  }

  override rightsAsked(loans: number): void {
    this.loansAsked += loans
  }
}
