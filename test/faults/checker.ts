import { checkAnswers } from './answer-check.ts'
import { type Evidence, isAnswered } from './evidence.ts'
import { type Breach, Findings } from './findings.ts'
import { checkLimit } from './limit-check.ts'
import { checkLooks } from './look-check.ts'
import { findLost } from './lost-answers.ts'
import { checkOrder } from './order-check.ts'
import { checkRecord } from './record-check.ts'
import { checkRights } from './rights-check.ts'
import { checkRules } from './rules-check.ts'

export interface Judgement {
  /** A few of each kind; `breachCount` has all of them. */
  readonly breaches: readonly Breach[]
  readonly breachCount: number
  /** Rows that were decided again. */
  readonly decisions: number
  readonly answered: number
  /** Rows of requests whose clients never learnt of them. */
  readonly unseen: number
  /** Answers whose rows a loss of Redis' data took along, as it may. */
  readonly lost: number
}

/**
 * Whether everything that was promised held: between what clients were told, what Postgres has and what Redis has.
 * n log n in requests and rows. @param intervalMs between sales
 */
export function judge(evidence: Evidence, intervalMs: number): Judgement {
  const findings = new Findings()
  const lost = findLost(evidence, findings)
  const floors = checkOrder(evidence, lost, findings)
  checkAnswers(evidence, { lost, floors }, findings)
  checkLooks(evidence, findings)
  checkRecord(evidence, findings)
  checkLimit(evidence, lost, findings)
  checkRights(evidence, findings)
  checkRules(evidence, intervalMs, findings)
  const answered = evidence.history.filter(isAnswered).length
  return {
    breaches: findings.breaches,
    breachCount: findings.count,
    decisions: evidence.attempts.length,
    answered,
    unseen: evidence.attempts.length - (answered - lost.size),
    lost: lost.size,
  }
}
