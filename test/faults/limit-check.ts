import type { SaleTerms } from '../../core/decisions.ts'
import { type AnsweredRequest, type AttemptRow, type Evidence, formatPlace, isAnswered } from './evidence.ts'
import type { Findings } from './findings.ts'

/** Of a client's clock and Redis' clock on one machine: what their roundings differ by. */
const clockMsMax = 2

/** What takes up one of a user's rights: from its decision, until its hold ends or is released; for ever when it was purchased. */
interface Use {
  readonly fromMs: number
  readonly untilMs: number
}

/**
 * The limit over all shards of a sale. All of them have the clock of one machine here, so their rows' times have an order:
 * - at no moment the holds and purchases on record of a user are more than the limit;
 * - a user who is refused for the limit had so many, at some moment between the request and its decision. A right that is on
 *   its way between two shards doesn't count as free only because it isn't asked for in time: the search delivers it.
 *   Where Redis lost data meanwhile, holds that nobody knows of any more may have taken the rights up.
 */
export function checkLimit(evidence: Evidence, lost: ReadonlySet<AnsweredRequest>, findings: Findings): void {
  for (const terms of evidence.sales) {
    const uses = usesOnRecord(evidence, terms)
    for (const [user, ofUser] of uses) {
      const most = Math.max(...ofUser.map(({ fromMs }) => usedAt(ofUser, fromMs)))
      if (most > terms.userLimit)
        findings.add('limit_passed', `${user} had ${most} holds and purchases in sale ${terms.sale}`)
    }
    checkRefusals(evidence, terms, withLost(uses, terms, lost), findings)
  }
}

function usesOnRecord({ attempts, purchases }: Evidence, { sale }: SaleTerms): Map<string, Use[]> {
  const bought = new Set(purchases.filter((row) => row.sale === sale).map(({ nonce }) => nonce))
  const released = new Map(
    attempts.filter(({ outcome }) => outcome === 'released').map(({ nonce, decidedAtMs }) => [nonce, decidedAtMs]),
  )
  const uses = new Map<string, Use[]>()
  for (const { sale: of, outcome, user, nonce, decidedAtMs, expiresAtMs } of attempts) {
    if (of !== sale || outcome !== 'held' || user === null || expiresAtMs === null) continue
    const untilMs = nonce !== null && bought.has(nonce) ? Infinity : (released.get(nonce) ?? expiresAtMs)
    addTo(uses, user, { fromMs: decidedAtMs, untilMs })
  }
  return uses
}

function withLost(uses: Map<string, Use[]>, { sale, holdMs }: SaleTerms, lost: ReadonlySet<AnsweredRequest>) {
  const all = new Map([...uses].map(([user, ofUser]) => [user, [...ofUser]]))
  for (const { sale: of, operation, user, answer } of lost) {
    if (of !== sale || operation !== 'checkout' || answer.verdict !== 'accepted' || answer.atMs === undefined) continue
    addTo(all, user, { fromMs: answer.atMs - holdMs, untilMs: answer.atMs })
  }
  return all
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
  return Math.max(...[beginMs, ...begins].map((atMs) => usedAt(uses, atMs)))
}

function isDuringLoss({ sentMs, answer }: AnsweredRequest, losses: Evidence['losses'], shards: number): boolean {
  return losses.some(({ shard, begunMs, recoveredMs }) => {
    return shard < shards && sentMs < recoveredMs && answer.receivedMs > begunMs
  })
}

function usedAt(uses: readonly Use[], atMs: number): number {
  return uses.filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs).length
}

function addTo(uses: Map<string, Use[]>, user: string, use: Use): void {
  const ofUser = uses.get(user)
  if (ofUser === undefined) uses.set(user, [use])
  else ofUser.push(use)
}
