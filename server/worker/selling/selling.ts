import type { NonceSource } from '../../../core/ids.ts'
import type { RequestMetrics } from '../http/request-metrics.ts'
import type { Batcher } from './batcher.ts'
import type { UncommittedAnswers } from './uncommitted-answers.ts'

/** What checkout and purchase need of the worker. */
export interface Selling {
  readonly batcher: Batcher
  readonly nonces: NonceSource
  readonly metrics: RequestMetrics
  /** A checkout named a sale that Redis does not list, and that is not past. */
  readonly onUnlisted: (sale: number) => void
  /** Where successful purchases wait for Postgres; `undefined`: their answers leave at once. */
  readonly uncommitted: UncommittedAnswers | undefined
}

/**
 * The header that names the place of a decision in the log, `<entry id>-<n>`: the order in which Redis decided, for who
 * wants to check it from outside.
 */
export function decisionHeader(logId: string, n: number): string {
  return `\r\nHotcakes-Decision: ${logId}-${n}`
}
