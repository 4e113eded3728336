import {
  comparePlaces,
  type Evidence,
  formatPlace,
  isAnswered,
  type Place,
  requestKey,
  type SentRequest,
} from './evidence.ts'
import type { Findings } from './findings.ts'
import { shardsOfRequests } from './request-shard.ts'

/**
 * Real-time order, once over all requests and answers of a shard in the order of their times: a request that was sent after
 * an answer had come must be decided after that answer's decision. With one log for everything in a shard, and rows that
 * follow the rules in its order, that makes each shard linearizable, and so every item.
 *
 * What a failover has taken along stands in no order with what came after it: two masters may have answered at once. Those of
 * one epoch are in order all the same.
 * @param lost answers that are excused from having a row
 * @returns for requests of unknown outcome, the last place in their shard that was answered before each was sent, by request
 *   key and in the order of sending: a decision on it must stand after that
 */
export function checkOrder(
  evidence: Evidence,
  lost: ReadonlySet<SentRequest>,
  findings: Findings,
): Map<string, (Place | undefined)[]> {
  const floors = new Map<string, (Place | undefined)[]>()
  const shardOfRequest = shardsOfRequests(evidence)
  const byShard = new Map<number, SentRequest[]>()
  const byEpoch = new Map<string, SentRequest[]>()
  for (const request of evidence.history) {
    if (!lost.has(request)) push(byShard, shardOfRequest(request), request)
    if (lost.size > 0 && isAnswered(request)) {
      push(byEpoch, `${request.answer.place.shard}:${request.answer.place.epoch}`, request)
    }
  }
  for (const requests of byShard.values()) checkLog(requests, floors, findings)
  for (const requests of byEpoch.values()) {
    if (requests.some((request) => lost.has(request))) checkLog(requests, new Map(), findings)
  }
  return floors
}

/** Of one shard: what comes behind a request's own shard is told by its answer. */
function checkLog(
  requests: readonly SentRequest[],
  floors: Map<string, (Place | undefined)[]>,
  findings: Findings,
): void {
  const answered = requests.filter(isAnswered).toSorted((a, b) => a.answer.receivedMs - b.answer.receivedMs)
  let latest: Place | undefined
  let at = 0
  for (const request of requests.toSorted((a, b) => a.sentMs - b.sentMs)) {
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
}

function push<Key>(map: Map<Key, SentRequest[]>, key: Key, request: SentRequest): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, [request])
  else found.push(request)
}
