import { retryAfterSecondsMax, retryAfterSecondsMin } from '../limits.ts'
import { type ProblemCode, problemReply } from './problems.ts'
import type { Reply } from './replies.ts'
import type { ShedReason } from './request-metrics.ts'

/**
 * Every answer there can be, one a wait: under overload most of what this process writes is these, and whoever is turned
 * away should cost next to nothing.
 */
const replies = {
  overloaded: everyWait('overloaded'),
  unavailable: everyWait('unavailable'),
  unrecorded: everyWait('unrecorded'),
  backlog_full: everyWait('backlog_full'),
  recovering: everyWait('recovering'),
  records_unavailable: everyWait('records_unavailable'),
  record_behind: everyWait('record_behind'),
  keys_unavailable: everyWait('keys_unavailable'),
  shutting_down: everyWait('shutting_down'),
} as const

const shedProblems = {
  overloaded: 'overloaded',
  late: 'overloaded',
  backlog_full: 'backlog_full',
  memory_full: 'backlog_full',
  redis_down: 'unavailable',
  record_unsound: 'recovering',
  shutting_down: 'shutting_down',
} as const satisfies Record<ShedReason, keyof typeof replies>

function everyWait(code: ProblemCode): readonly Reply[] {
  const count = retryAfterSecondsMax - retryAfterSecondsMin + 1
  const waits = Array.from({ length: count }, (_, n) => retryAfterSecondsMin + n)
  return waits.map((seconds) => problemReply(code, { header: `Retry-After: ${seconds}` }))
}

/** A 503 with a Retry-After, another one each time: clients that were turned away together are spread out. */
export function retryLater(code: keyof typeof replies): Reply {
  const variants = replies[code]
  return variants[Math.floor(Math.random() * variants.length)] as Reply
}

export function turnedAway(reason: ShedReason): Reply {
  return retryLater(shedProblems[reason])
}
