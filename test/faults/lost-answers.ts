import { compareLogPositions } from '../../core/log-position.ts'
import { type AnsweredRequest, type Evidence, formatPlace, isAnswered, requestKey } from './evidence.ts'
import type { Findings, Promised } from './findings.ts'

/**
 * The answers whose rows are missing, as far as a loss of Redis' data excuses that; the others are breaches.
 *
 * Redis lost data if it was emptied, or if a replica took over that lacked the newest entries of its master. Then the shard
 * goes on in a later epoch, and Postgres knows behind which entry that begins: what was acknowledged in an older epoch behind
 * this entry is excused, if it was asked before the loss was over. Where Redis was rebuilt, the later epoch begins behind what
 * Postgres had, which is at least what it had when the loss began. With APP_ACK=replica a failover excuses nothing.
 */
export function findLost(evidence: Evidence, findings: Findings): Set<AnsweredRequest> {
  const rows = new Set(evidence.attempts.map(formatPlace))
  const lost = new Set<AnsweredRequest>()
  for (const request of evidence.history) {
    if (!isAnswered(request) || rows.has(formatPlace(request.answer.place))) continue
    if (mayBeLost(request, evidence)) lost.add(request)
    else findings.add(...missing(request))
  }
  return lost
}

function mayBeLost(request: AnsweredRequest, { losses, epochs, ack }: Evidence): boolean {
  if (ack === 'postgres' && isPurchased(request)) return false
  const { sentMs, answer } = request
  const { place } = answer
  const later = epochs.filter(({ shard, epoch }) => shard === place.shard && epoch > place.epoch)
  return losses.some(({ shard, committed, doneMs, withReplicas }) => {
    if (shard !== place.shard || sentMs >= doneMs || (ack === 'replica' && !withReplicas)) return false
    return later.some(({ after }) => compareLogPositions(place, after ?? committed) > 0)
  })
}

function missing(request: AnsweredRequest): [Promised, string] {
  const { place, verdict } = request.answer
  const detail = `${formatPlace(place)}: ${requestKey(request)} was answered ${verdict}`
  return [isPurchased(request) ? 'purchase_missing' : 'answer_missing', detail]
}

function isPurchased({ operation, answer }: AnsweredRequest): boolean {
  return operation === 'purchase' && answer.verdict === 'accepted'
}
