import { outcomes } from '../../core/outcomes.ts'
import type { RedisSale } from '../../ops/tools/audit/redis-side.ts'
import { ReferenceShop } from '../model/reference-shop.ts'
import { type AttemptRow, comparePlaces, type Evidence, formatPlace } from './evidence.ts'
import type { Findings } from './findings.ts'
import { RightsOnRecord } from './rights-on-record.ts'

/**
 * Decides every row of a shard again by the reference rules, in the order of its log and at the row's own time. What comes out
 * must be the row; and what all of them lead to must be what Redis holds.
 */
export function checkRules(evidence: Evidence, intervalMs: number, findings: Findings): void {
  const { attempts, sales, offsets, redis } = evidence
  for (const shard of offsets.keys()) {
    const shop = new ReferenceShop(intervalMs)
    for (const terms of sales) shop.open(terms)
    const rights = new Map(
      sales.filter(({ shards }) => shards > 1).map((terms) => [terms.sale, new RightsOnRecord(evidence, terms, shard)]),
    )
    for (const row of attempts.filter((one) => one.shard === shard).toSorted(comparePlaces)) {
      replay(shop, row, rights.get(row.sale), findings)
    }
    for (const part of redis) if (part.shard === shard) compareWithRedis(shop, part, findings)
  }
}

function replay(shop: ReferenceShop, row: AttemptRow, rights: RightsOnRecord | undefined, findings: Findings): void {
  const { sale, index, operation, decidedAtMs } = row
  // A checkout that was turned away has no nonce on record; none of its rules needs one.
  const user = operation === 'checkout' ? (row.user ?? '') : ''
  rights?.goOnTo(row, decidedAtMs)
  const bounds = rights?.bounds(user)
  const limit = row.outcome === 'user_limit_reached' ? bounds?.least : bounds?.most
  const isRelease = operation === 'release'
  const decision = shop.decide({ sale, index, nonce: row.nonce ?? '', user, isRelease }, decidedAtMs, limit)
  const nonce = operation === 'checkout' && decision.outcome === 'held' ? row.nonce : (decision.nonce ?? null)
  const expected =
    operation === 'checkout'
      ? [decision.outcome, row.user, nonce, decision.outcome === 'item_held' ? null : (decision.expiresAtMs ?? null)]
      : [decision.outcome, decision.user ?? null, row.nonce, null]
  const found = [row.outcome, row.user, row.nonce, row.expiresAtMs]
  if (expected.some((value, at) => value !== found[at])) {
    const having = bounds === undefined ? '' : ` with ${bounds.least} to ${bounds.most} rights`
    findings.add(
      'rules_broken',
      `${formatPlace(row)}: ${sale}-${index} is ${found.join()}, should be ${expected.join()}${having}`,
    )
  }
}

function compareWithRedis(shop: ReferenceShop, redis: RedisSale, findings: Findings): void {
  const { sale, opensAtMs } = redis.terms
  const differs = (detail: string) => findings.add('redis_differs', `sale ${sale}: ${detail}`)
  const holds = shop.latestHolds(sale)
  const expectedItems = new Map(
    [...holds].map(([index, { nonce, user, expiresAtMs, purchasedAtMs, isReleased }]) => {
      const state = purchasedAtMs === undefined ? 'held' : 'sold'
      const atMs = isReleased ? opensAtMs : (purchasedAtMs ?? expiresAtMs)
      return [Number(index), `${state} ${nonce} ${user} ${atMs}`]
    }),
  )
  const items = new Map(
    [...redis.held].map(([index, { nonce, user, expiresAtMs }]) => [index, `held ${nonce} ${user} ${expiresAtMs}`]),
  )
  for (const [index, { nonce, user, purchasedAtMs }] of redis.sold)
    items.set(index, `sold ${nonce} ${user} ${purchasedAtMs}`)
  compareMaps(expectedItems, items, (index, should, is) => differs(`item ${index} is ${is}, should be ${should}`))

  const counts = new Map([...shop.counts(sale)].map(([name, count]) => [outcomes[name].code as number, count]))
  compareMaps(counts, redis.counts, (code, should, is) =>
    differs(`outcome ${code} was counted ${is}, should be ${should}`),
  )

  compareMaps(slotsByHolds(shop, redis), slotsInRedis(redis), (user, should, is) =>
    differs(`${user} has ${is} purchases and holds, should have ${should}`),
  )
  for (const field of redis.unreadable) differs(`${field} can't be read`)
}

/** User -> purchases + live holds. */
function slotsByHolds(shop: ReferenceShop, { terms, nowMs }: RedisSale): Map<string, string> {
  return new Map(
    [...shop.buyers(terms.sale)].flatMap(([user, { bought, ends }]) => {
      const live = ends.filter((end) => end > nowMs).length
      return bought + live > 0 ? [[user, `${bought}+${live}`]] : []
    }),
  )
}

function slotsInRedis({ users, nowMs }: RedisSale): Map<string, string> {
  return new Map(
    [...users].flatMap(([user, { purchases, holdsExpireAtMs }]) => {
      const live = holdsExpireAtMs.filter((expiresAtMs) => expiresAtMs > nowMs).length
      return purchases + live > 0 ? [[user, `${purchases}+${live}`]] : []
    }),
  )
}

/** Calls back for each key whose values differ, or that only one of them has. */
function compareMaps<Key, Value>(
  expected: ReadonlyMap<Key, Value>,
  found: ReadonlyMap<Key, Value>,
  differ: (key: Key, expected: Value | undefined, found: Value | undefined) => void,
): void {
  for (const [key, value] of expected) if (found.get(key) !== value) differ(key, value, found.get(key))
  for (const [key, value] of found) if (!expected.has(key)) differ(key, undefined, value)
}
