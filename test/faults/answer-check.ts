import { compareLogPositions } from '../../core/log-position.ts'
import { problemByOutcome } from '../../server/worker/http/problems.ts'
import {
  type AnsweredRequest,
  type AttemptRow,
  comparePlaces,
  type Evidence,
  formatPlace,
  isAnswered,
  type Place,
  requestKey,
} from './evidence.ts'
import type { Findings, Promised } from './findings.ts'

/**
 * Every answer has its row, which says the same; and every row without an answer is that of a request whose outcome
 * its client does not know, decided after that was sent.
 * @param floors see checkOrder
 * @returns the answers that a loss of Redis' data excuses from having a row
 */
export function checkAnswers(
  evidence: Evidence,
  floors: ReadonlyMap<string, readonly (Place | undefined)[]>,
  findings: Findings,
): number {
  const rows = new Map(evidence.attempts.map((row) => [formatPlace(row), row]))
  const purchasedAtMs = new Map(evidence.purchases.map((row) => [`${row.sale}-${row.index}`, row.purchasedAtMs]))
  const answered = new Set<string>()
  let lost = 0
  for (const request of evidence.history) {
    if (!isAnswered(request)) continue
    const place = formatPlace(request.answer.place)
    if (answered.has(place)) findings.add('answer_doubled', `${place}: ${requestKey(request)}`)
    answered.add(place)
    const row = rows.get(place)
    if (row === undefined) {
      if (mayBeLost(request, evidence)) lost++
      else findings.add(...missing(request))
    } else {
      const boughtAtMs = purchasedAtMs.get(`${row.sale}-${row.index}`)
      const [told, written] = [toldText(request), rowText(row, boughtAtMs)]
      if (told !== written) findings.add('answer_differs', `${place}: answered ${told}, recorded ${written}`)
    }
  }
  checkUnanswered(
    evidence.attempts.filter((row) => !answered.has(formatPlace(row))),
    floors,
    findings,
  )
  return lost
}

/**
 * Gives the rows of one request, in the order of the log, to the sendings of it whose outcome is unknown, in their
 * order: if that does not fit, nothing does, because a floor never falls from one sending to the next.
 */
function checkUnanswered(
  rows: readonly AttemptRow[],
  floors: ReadonlyMap<string, readonly (Place | undefined)[]>,
  findings: Findings,
): void {
  const used = new Map<string, number>()
  for (const row of rows) {
    const place = formatPlace(row)
    const key = requestKey({ ...row, user: row.user ?? '', nonce: row.nonce ?? '' })
    const nth = used.get(key) ?? 0
    used.set(key, nth + 1)
    const candidates = floors.get(key) ?? []
    const floor = candidates[nth]
    if (nth >= candidates.length) findings.add('row_unasked', `${place}: ${key}, ${row.outcome}`)
    else if (floor !== undefined && comparePlaces(row, floor) <= 0)
      findings.add('order_broken', `${place}: ${key} was sent after ${formatPlace(floor)}`)
  }
}

function missing(request: AnsweredRequest): [Promised, string] {
  const { place, verdict } = request.answer
  const detail = `${formatPlace(place)}: ${requestKey(request)} was answered ${verdict}`
  return [isPurchased(request) ? 'purchase_missing' : 'answer_missing', detail]
}

/** Whether a loss of Redis' data excuses that what was acknowledged is nowhere. */
function mayBeLost(request: AnsweredRequest, { losses, ack }: Evidence): boolean {
  if (ack === 'postgres' && isPurchased(request)) return false
  const { sentMs, answer } = request
  return losses.some(({ committed, doneMs }) => sentMs < doneMs && compareLogPositions(answer.place, committed) > 0)
}

function isPurchased({ operation, answer }: AnsweredRequest): boolean {
  return operation === 'purchase' && answer.verdict === 'accepted'
}

/** What the client asked and was told, in the words of rowText. */
function toldText(request: AnsweredRequest): string {
  const { verdict, nonce = '', user = '', atMs = 0 } = request.answer
  const asked = requestKey(request)
  if (verdict !== 'accepted') return `${asked}: ${verdict}`
  return request.operation === 'checkout' ? `${asked}: held ${nonce} until ${atMs}` : `${asked}: ${user}'s at ${atMs}`
}

function rowText(row: AttemptRow, boughtAtMs: number | undefined): string {
  const asked = requestKey({ ...row, user: row.user ?? '', nonce: row.nonce ?? '' })
  const problem = problemByOutcome[row.outcome]
  if (problem !== undefined) return `${asked}: ${problem}`
  return row.operation === 'checkout'
    ? `${asked}: held ${row.nonce} until ${row.expiresAtMs}`
    : `${asked}: ${row.user}'s at ${boughtAtMs}`
}
