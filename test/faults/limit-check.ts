import type { SaleTerms } from '../../core/decisions.ts'
import {
  type AnsweredRequest,
  type AttemptRow,
  type Evidence,
  formatPlace,
  isAnswered,
  type SentRequest,
} from './evidence.ts'
import type { Findings } from './findings.ts'

/** Of a client's clock and Redis' clock on one machine: what their roundings differ by. */
const clockMsMax = 2

/** What takes up one of a user's rights: from its decision, until its hold ends or is released; for ever when it was purchased. */
interface Use {
  readonly index: string
  readonly fromMs: number
  readonly untilMs: number
}

/**
 * The limit over all shards of a sale. All of them have the clock of one machine here, so their rows' times have an order:
 * - at no moment the holds and purchases on record of a user are more than the limit;
 * - a user who is refused for the limit had so many, at some moment between the request and its decision. A right that is on
 *   its way between two shards doesn't count as free only because it isn't asked for in time: the search delivers it.
 *   What Redis lost later may have taken the rights up until then: holds and purchases, also those that no answer came of.
 */
export function checkLimit(evidence: Evidence, lost: ReadonlySet<AnsweredRequest>, findings: Findings): void {
  for (const terms of evidence.sales) {
    const uses = usesOnRecord(evidence, terms)
    for (const [user, ofUser] of uses) {
      const most = Math.max(...ofUser.map(({ fromMs }) => usesAt(ofUser, fromMs).length))
      if (most > terms.userLimit)
        findings.add('limit_passed', `${user} had ${most} holds and purchases in sale ${terms.sale}`)
    }
    checkRefusals(evidence, terms, withForgotten(uses, evidence, { terms, lost }), findings)
  }
}

function usesOnRecord({ attempts, purchases }: Evidence, { sale }: SaleTerms): Map<string, Use[]> {
  const bought = new Set(purchases.filter((row) => row.sale === sale).map(({ nonce }) => nonce))
  const released = new Map(
    attempts.filter(({ outcome }) => outcome === 'released').map(({ nonce, decidedAtMs }) => [nonce, decidedAtMs]),
  )
  const uses = new Map<string, Use[]>()
  for (const { sale: of, index, outcome, user, nonce, decidedAtMs, expiresAtMs } of attempts) {
    if (of !== sale || outcome !== 'held' || user === null || expiresAtMs === null) continue
    const untilMs = nonce !== null && bought.has(nonce) ? Infinity : (released.get(nonce) ?? expiresAtMs)
    addTo(uses, user, { index, fromMs: decidedAtMs, untilMs })
  }
  return uses
}

/** @param lost answered, and excused from having a row */
function withForgotten(
  uses: ReadonlyMap<string, readonly Use[]>,
  evidence: Evidence,
  { terms, lost }: { terms: SaleTerms; lost: ReadonlySet<AnsweredRequest> },
): Map<string, Use[]> {
  const { history, attempts } = evidence
  const all = new Map([...uses].map(([user, ofUser]) => [user, [...ofUser]]))
  const holders = new Map(
    history.flatMap((one) => {
      return one.operation === 'checkout' && isAnswered(one) ? [[one.answer.nonce, one.user]] : []
    }),
  )
  for (const request of history) {
    const { sale, index, operation, answer, sentMs, sentAtMs } = request
    if (sale !== terms.sale || operation === 'release' || answer === 'refused') continue
    if (isAnswered(request) && !(lost.has(request) && request.answer.verdict === 'accepted')) continue
    const lostMs = lostLaterMs(request, evidence, terms)
    const user = operation === 'checkout' ? request.user : holders.get(request.nonce)
    if (lostMs === undefined || user === undefined) continue
    const untilMs = sentAtMs + lostMs - sentMs
    if (!isOnRecord(attempts, request, { user, untilMs })) addTo(all, user, { index, fromMs: sentAtMs, untilMs })
  }
  return all
}

/** When what came of the request may have been lost. */
function lostLaterMs({ index, sentMs }: SentRequest, { losses }: Evidence, { shards }: SaleTerms): number | undefined {
  const later = losses.filter(({ shard, doneMs }) => shard === (Number(index) - 1) % shards && sentMs < doneMs)
  return later.length === 0 ? undefined : Math.max(...later.map(({ doneMs }) => doneMs))
}

function isOnRecord(
  attempts: readonly AttemptRow[],
  { operation, sale, index, nonce, sentAtMs }: SentRequest,
  { user, untilMs }: { user: string; untilMs: number },
): boolean {
  return attempts.some((row) => {
    if (row.sale !== sale || row.index !== index || row.user !== user) return false
    if (operation === 'purchase') return row.outcome === 'purchased' && row.nonce === nonce
    return row.outcome === 'held' && row.decidedAtMs >= sentAtMs - clockMsMax && row.decidedAtMs <= untilMs
  })
}

function checkRefusals(
  { attempts, history, losses }: Evidence,
  { sale, userLimit, shards }: SaleTerms,
  uses: ReadonlyMap<string, readonly Use[]>,
  findings: Findings,
): void {
  const requests = new Map(history.filter(isAnswered).map((request) => [formatPlace(request.answer.place), request]))
  for (const row of attempts) {
    if (row.sale !== sale || row.outcome !== 'user_limit_reached') continue
    const request = requests.get(formatPlace(row))
    if (request === undefined || isDuringLoss(request, losses, shards)) continue
    const used = mostUsed(uses.get(row.user ?? '') ?? [], request, row)
    if (used >= userLimit) continue
    const detail = `${formatPlace(row)}: ${row.user} was refused ${sale}-${row.index} with ${used} of ${userLimit}`
    findings.add('limit_refused', detail)
  }
}

/** Between the request and its decision. */
function mostUsed(uses: readonly Use[], { sentAtMs }: AnsweredRequest, { decidedAtMs }: AttemptRow): number {
  const beginMs = sentAtMs - clockMsMax
  const begins = uses.map(({ fromMs }) => fromMs).filter((fromMs) => fromMs >= beginMs && fromMs <= decidedAtMs)
  return Math.max(...[beginMs, ...begins].map((atMs) => itemsAt(uses, atMs)))
}

function isDuringLoss({ sentMs, answer }: AnsweredRequest, losses: Evidence['losses'], shards: number): boolean {
  return losses.some(({ shard, begunMs, recoveredMs }) => {
    return shard < shards && sentMs < recoveredMs && answer.receivedMs > begunMs
  })
}

function usesAt(uses: readonly Use[], atMs: number): readonly Use[] {
  return uses.filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs)
}

/** A checkout that was repeated, and a purchase beside its own hold, take up one right. */
function itemsAt(uses: readonly Use[], atMs: number): number {
  return new Set(usesAt(uses, atMs).map(({ index }) => index)).size
}

function addTo(uses: Map<string, Use[]>, user: string, use: Use): void {
  const ofUser = uses.get(user)
  if (ofUser === undefined) uses.set(user, [use])
  else ofUser.push(use)
}
