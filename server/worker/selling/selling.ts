import assert from 'node:assert/strict'

import type { Fault } from '../../../core/faults.ts'
import type { ItemId, NonceSource } from '../../../core/ids.ts'
import type { Outcome } from '../../../core/outcomes.ts'
import type { Exchange } from '../http/exchange.ts'
import { problemByOutcome, problemReplies } from '../http/problems.ts'
import type { SellingMetrics } from './selling-metrics.ts'
import type { Shard } from './shard.ts'
import type { Shards } from './shards.ts'

/** What checkout, purchase and release need of the worker. */
export interface Selling {
  readonly shards: Pick<Shards, 'only' | 'of' | 'rights' | 'sendOn'>
  readonly nonces: NonceSource
  readonly metrics: SellingMetrics
  /** A checkout named a sale that the shard does not list, and that is not past. */
  readonly onUnlisted: (sale: number, shard: number) => void
}

/**
 * Where there are several: the shard that a command on the item is offered to. `undefined`: the exchange was answered,
 * because that one can't take it.
 */
export function shardFor({ shards }: Selling, exchange: Exchange, item: ItemId): Shard | undefined {
  const shard = shards.of(item, exchange.admittedMs)
  const reason = shard?.refusal(exchange.admittedMs)
  if (shard !== undefined && reason === undefined) return shard
  if (reason === undefined) exchange.unavailable()
  else exchange.shed(reason, shard?.number)
  return undefined
}

/** Answers a command of which nobody knows what has become. */
export function answerFailed(exchange: Exchange, { code }: Fault): void {
  if (code === 'HC_REPLICA_LATE') exchange.unrecorded()
  else exchange.unavailable()
}

/** Answers a command that was decided, and not for its buyer. @param headers as Exchange.answer takes them */
export function answerRejected(exchange: Exchange, outcome: Outcome, headers: string): void {
  const code = problemByOutcome[outcome]
  assert(code !== undefined, `${outcome} is no rejection`)
  const { head, body } = problemReplies[code]
  exchange.answer(head, body, headers)
}

/**
 * The header that names the place of a decision in its shard's log, `<entry id>-<n>`, with the shard before it unless it is
 * the first one: the order in which Redis decided, for who wants to check it from outside.
 */
export function decisionHeader({ decisionHeaderStart }: Shard, logId: string, n: number): string {
  return `${decisionHeaderStart}${logId}-${n}`
}
