import assert from 'node:assert/strict'

import type { NonceSource } from '../../../core/ids.ts'
import type { Outcome } from '../../../core/outcomes.ts'
import type { Exchange } from '../http/exchange.ts'
import { problemByOutcome, problemReplies } from '../http/problems.ts'
import type { SellingMetrics } from './selling-metrics.ts'
import type { Shards } from './shards.ts'

/** What checkout and purchase need of the worker. */
export interface Selling {
  readonly shards: Pick<Shards, 'of'>
  readonly nonces: NonceSource
  readonly metrics: SellingMetrics
  /** A checkout named a sale that Redis does not list, and that is not past. */
  readonly onUnlisted: (sale: number) => void
}

/** Answers a command that was decided, and not for its buyer. @param headers as Exchange.answer takes them */
export function answerRejected(exchange: Exchange, outcome: Outcome, headers: string): void {
  const code = problemByOutcome[outcome]
  assert(code !== undefined, `${outcome} is no rejection`)
  const { head, body } = problemReplies[code]
  exchange.answer(head, body, headers)
}

/**
 * The header that names the place of a decision in the log, `<entry id>-<n>`: the order in which Redis decided, for who
 * wants to check it from outside.
 */
export function decisionHeader(logId: string, n: number): string {
  return `\r\nHotcakes-Decision: ${logId}-${n}`
}
