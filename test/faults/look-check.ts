import { type Evidence, isAnswered, type Look } from './evidence.ts'
import type { Findings } from './findings.ts'

/**
 * Whoever looks at an item after its purchase was acknowledged sees it as sold, and nobody sees as sold what was not
 * bought by then.
 */
export function checkLooks({ history, looks, purchases, losses }: Evidence, findings: Findings): void {
  // Of an item that was bought again after its purchase was lost, only the one that is on record counts.
  const boughtBy = new Map(purchases.map(({ sale, index, nonce }) => [`${sale}-${index}`, nonce]))
  const askedMs = new Map<string, number>()
  const knownMs = new Map<string, number>()
  for (const request of history) {
    const item = `${request.sale}-${request.index}`
    if (request.operation !== 'purchase' || boughtBy.get(item) !== request.nonce) continue
    askedMs.set(item, Math.min(request.sentMs, askedMs.get(item) ?? Infinity))
    if (isAnswered(request) && request.answer.verdict === 'accepted')
      knownMs.set(item, Math.min(request.answer.receivedMs, knownMs.get(item) ?? Infinity))
  }
  for (const look of looks) {
    const item = `${look.sale}-${look.index}`
    const isWrong =
      look.state === 'sold'
        ? look.receivedMs < (askedMs.get(item) ?? Infinity) && losses.length === 0
        : look.sentMs > (knownMs.get(item) ?? Infinity)
    if (isWrong && !losses.some((loss) => falls(look, loss))) findings.add('read_stale', `${item} was ${look.state}`)
  }
}

/** Whether somebody looked while Redis had lost its data and was not whole again. */
function falls({ sentMs, receivedMs }: Look, { begunMs, recoveredMs }: Evidence['losses'][number]): boolean {
  return receivedMs > begunMs && sentMs < recoveredMs
}
