import type { SaleTerms } from '../../../core/decisions.ts'
import { outcomeByCode, outcomes } from '../../../core/outcomes.ts'
import { isoTime } from '../../../core/time.ts'
import type { Breaches } from './breaches.ts'
import type { Purchase, RedisSale } from './redis-side.ts'

/** What Postgres has of a sale, up to the log position of what Redis knew of it. */
export interface RecordedSale {
  /** undefined: the table of sales does not have it. */
  readonly terms: SaleTerms | undefined
  /** Item index -> purchase. */
  readonly purchases: ReadonlyMap<number, Purchase>
  /** Outcome code -> attempts. */
  readonly counts: ReadonlyMap<number, number>
  /** When the last attempt was decided by Redis' clock, which may have been set back since. */
  readonly latestMs: number
}

interface CompareOptions {
  readonly breaches: Breaches
  /** `false`: Postgres does not have the log up to the moment of Redis yet, so what it lacks proves nothing. */
  readonly isComplete: boolean
}

/** Compares what Redis and Postgres know of one sale, and Redis with itself. */
export function compareSale(redis: RedisSale, recorded: RecordedSale, options: CompareOptions): void {
  const { sale } = redis.terms
  for (const field of redis.unreadable) options.breaches.add('record_unreadable', { sale, field })
  // A hold that was cut off from its user's entry may be alive again in its item's by a clock that has stepped back, and
  // one that was taken over in its user's. At the latest time of all they had ended, so there the two must be equal.
  compareUsers({ ...redis, nowMs: Math.max(redis.nowMs, recorded.latestMs) }, options.breaches)
  compareTerms(redis.terms, recorded.terms, options)
  comparePurchases(redis, recorded, options)
  compareBuyers(redis, recorded, options)
  compareCounts({ sale, redis: redis.counts, postgres: recorded.counts }, options)
}

/** Attempts by outcome; `sale` null for those that named no listed sale. */
export function compareCounts(
  counts: { sale: number | null; redis: ReadonlyMap<number, number>; postgres: ReadonlyMap<number, number> },
  { breaches, isComplete }: CompareOptions,
): void {
  for (const code of new Set([...counts.redis.keys(), ...counts.postgres.keys()])) {
    const redis = counts.redis.get(code) ?? 0
    const postgres = counts.postgres.get(code) ?? 0
    if (postgres === redis || (!isComplete && postgres < redis)) continue
    const outcome = outcomeByCode[code] ?? `unknown (${code})`
    breaches.add('attempts_differ', { sale: counts.sale, outcome, redis, postgres })
  }
}

function compareTerms(redis: SaleTerms, postgres: SaleTerms | undefined, { breaches, isComplete }: CompareOptions) {
  const { sale } = redis
  if (postgres === undefined) {
    if (isComplete) breaches.add('terms_differ', { sale, problem: 'Postgres does not have the sale' })
    return
  }
  for (const name of Object.keys(redis) as (keyof SaleTerms)[]) {
    if (redis[name] === postgres[name]) continue
    breaches.add('terms_differ', { sale, term: name, redis: redis[name], postgres: postgres[name] })
  }
}

function comparePurchases({ terms, sold }: RedisSale, { purchases }: RecordedSale, options: CompareOptions): void {
  const { breaches, isComplete } = options
  const { sale } = terms
  for (const [item, inRedis] of sold) {
    const inPostgres = purchases.get(item)
    if (inPostgres === undefined) {
      if (isComplete) breaches.add('not_recorded', { sale, item, ...shown(inRedis) })
      continue
    }
    for (const name of ['user', 'nonce', 'purchasedAtMs'] as const) {
      if (inRedis[name] === inPostgres[name]) continue
      const [redis, postgres] = [inRedis, inPostgres].map((purchase) => shownValue(purchase, name)) as [string, string]
      breaches.add('purchase_differs', { sale, item, what: differenceNames[name], redis, postgres })
    }
  }
  for (const [item, purchase] of purchases) {
    if (!sold.has(item)) breaches.add('not_sold', { sale, item, ...shown(purchase) })
    // The limits of the sale as Redis has them: Postgres' own checks go by what Postgres has.
    if (item < 1 || item > terms.items) breaches.add('outside_sale', { sale, item, items: terms.items })
  }
}

const differenceNames = { user: 'buyer', nonce: 'code', purchasedAtMs: 'time' } as const

function shownValue(purchase: Purchase, name: keyof Purchase): string {
  return name === 'purchasedAtMs' ? isoTime(purchase.purchasedAtMs) : purchase[name]
}

function shown({ user, purchasedAtMs }: Purchase): { user: string; purchased_at: string } {
  return { user, purchased_at: isoTime(purchasedAtMs) }
}

/** By the count that Redis keeps of each user, which is what its limit goes by. */
function compareBuyers({ terms, users }: RedisSale, { purchases }: RecordedSale, options: CompareOptions): void {
  const { breaches, isComplete } = options
  const postgresCounts = countBy(purchases.values(), ({ user }) => user)
  for (const user of new Set([...users.keys(), ...postgresCounts.keys()])) {
    const redis = users.get(user)?.purchases ?? 0
    const postgres = postgresCounts.get(user) ?? 0
    if (postgres === redis || (!isComplete && postgres < redis)) continue
    breaches.add('buyer_differs', { sale: terms.sale, user, redis, postgres })
  }
}

/** Redis alone: what a user has by the entries of items, against the user's entry and the limit. */
function compareUsers({ terms, nowMs, sold, held, users, counts }: RedisSale, breaches: Breaches): void {
  const { sale, userLimit } = terms
  const bought = countBy(sold.values(), ({ user }) => user)
  const holds = new Map<string, number[]>()
  for (const { user, expiresAtMs } of held.values()) {
    if (expiresAtMs <= nowMs) continue
    const expiries = holds.get(user)
    if (expiries === undefined) holds.set(user, [expiresAtMs])
    else expiries.push(expiresAtMs)
  }
  for (const user of new Set([...users.keys(), ...bought.keys(), ...holds.keys()])) {
    const entry = users.get(user) ?? { purchases: 0, holdsExpireAtMs: [] }
    const purchases = bought.get(user) ?? 0
    const live = holds.get(user) ?? []
    if (entry.purchases !== purchases) {
      const counted = { in_user_record: entry.purchases, in_item_records: purchases }
      breaches.add('user_record_differs', { sale, user, what: 'purchases', ...counted })
    }
    const liveInEntry = entry.holdsExpireAtMs.filter((expiresAtMs) => expiresAtMs > nowMs)
    if (times(liveInEntry) !== times(live)) {
      const listed = { in_user_record: times(liveInEntry), in_item_records: times(live) }
      breaches.add('user_record_differs', { sale, user, what: 'live holds', ...listed })
    }
    if (purchases + live.length > userLimit) {
      const counted = { purchases, live_holds: live.length, limit: userLimit }
      breaches.add('over_limit', { where: 'Redis', sale, user, ...counted })
    }
  }
  const counted = counts.get(outcomes.purchased.code) ?? 0
  if (counted !== sold.size) {
    breaches.add('sold_count_differs', { sale, purchases_counted: counted, items_sold: sold.size })
  }
  for (const item of [...sold.keys(), ...held.keys()]) {
    if (item > terms.items) breaches.add('outside_sale', { where: 'Redis', sale, item, items: terms.items })
  }
}

function times(momentsMs: readonly number[]): string {
  return momentsMs
    .toSorted((a, b) => a - b)
    .map(isoTime)
    .join(' ')
}

function countBy<Value>(values: Iterable<Value>, key: (value: Value) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(key(value), (counts.get(key(value)) ?? 0) + 1)
  return counts
}
