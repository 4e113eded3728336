import { comparePlaces, type Evidence, formatPlace, isAnswered, type Place, requestKey } from './evidence.ts'
import type { Findings } from './findings.ts'

/**
 * Real-time order, once over all requests and answers in the order of their times: a request that was sent after an
 * answer had come must be decided after that answer's decision. With one log for everything, and rows that follow the
 * rules in its order, that makes the whole shop linearizable, and so every item and every user.
 * @returns for requests of unknown outcome, the last place that was answered before each was sent, by request key and
 *   in the order of sending: a decision on it must stand after that
 */
export function checkOrder({ history }: Evidence, findings: Findings): Map<string, (Place | undefined)[]> {
  const answered = history.filter(isAnswered).toSorted((a, b) => a.answer.receivedMs - b.answer.receivedMs)
  const floors = new Map<string, (Place | undefined)[]>()
  let latest: Place | undefined
  let at = 0
  for (const request of history.toSorted((a, b) => a.sentMs - b.sentMs)) {
    for (let next = answered[at]; next && next.answer.receivedMs < request.sentMs; next = answered[++at]) {
      if (latest === undefined || comparePlaces(next.answer.place, latest) > 0) latest = next.answer.place
    }
    if (request.answer === 'unknown') {
      const key = requestKey(request)
      const ofKey = floors.get(key)
      if (ofKey === undefined) floors.set(key, [latest])
      else ofKey.push(latest)
    } else if (isAnswered(request) && latest !== undefined && comparePlaces(request.answer.place, latest) <= 0) {
      const place = formatPlace(request.answer.place)
      findings.add('order_broken', `${requestKey(request)} was decided at ${place}, sent after ${formatPlace(latest)}`)
    }
  }
  return floors
}
