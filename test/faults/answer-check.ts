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
  type SentRequest,
} from './evidence.ts'
import type { Findings } from './findings.ts'

/**
 * Every answer has its row, which says the same; and every row without an answer is that of a request whose outcome
 * its client does not know, decided after that was sent.
 * @param lost answers that are excused from having a row
 * @param floors see checkOrder
 */
export function checkAnswers(
  evidence: Evidence,
  { lost, floors }: { lost: ReadonlySet<SentRequest>; floors: ReadonlyMap<string, readonly (Place | undefined)[]> },
  findings: Findings,
): void {
  const rows = new Map(evidence.attempts.map((row) => [formatPlace(row), row]))
  const purchasedAtMs = new Map(evidence.purchases.map((row) => [`${row.sale}-${row.index}`, row.purchasedAtMs]))
  const answered = new Set<string>()
  for (const request of evidence.history) {
    if (!isAnswered(request)) continue
    const place = formatPlace(request.answer.place)
    if (answered.has(place)) findings.add('answer_doubled', `${place}: ${requestKey(request)}`)
    answered.add(place)
    const row = rows.get(place)
    if (row === undefined || lost.has(request)) continue
    const boughtAtMs = purchasedAtMs.get(`${row.sale}-${row.index}`)
    const [told, written] = [toldText(request), rowText(row, boughtAtMs)]
    if (told !== written) findings.add('answer_differs', `${place}: answered ${told}, recorded ${written}`)
  }
  checkUnanswered(
    evidence.attempts.filter((row) => !answered.has(formatPlace(row))),
    floors,
    findings,
  )
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
  // Postgres gives them as they lie there: of two persisters each has pages of its own.
  for (const row of rows.toSorted(comparePlaces)) {
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

/** What the client asked and was told, in the words of rowText. */
function toldText(request: AnsweredRequest): string {
  const { verdict, nonce = '', user = '', atMs = 0 } = request.answer
  const asked = requestKey(request)
  if (verdict !== 'accepted') return `${asked}: ${verdict}`
  if (request.operation === 'release') return `${asked}: ${user}'s`
  return request.operation === 'checkout' ? `${asked}: held ${nonce} until ${atMs}` : `${asked}: ${user}'s at ${atMs}`
}

function rowText(row: AttemptRow, boughtAtMs: number | undefined): string {
  const asked = requestKey({ ...row, user: row.user ?? '', nonce: row.nonce ?? '' })
  const problem = problemByOutcome[row.outcome]
  if (problem !== undefined) return `${asked}: ${problem}`
  if (row.operation === 'release') return `${asked}: ${row.user}'s`
  return row.operation === 'checkout'
    ? `${asked}: held ${row.nonce} until ${row.expiresAtMs}`
    : `${asked}: ${row.user}'s at ${boughtAtMs}`
}
