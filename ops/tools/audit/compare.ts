import type { SaleTerms } from '../../../core/decisions.ts'
import { outcomeByCode, outcomes } from '../../../core/outcomes.ts'
import { shardOf } from '../../../core/shards.ts'
import { isoTime } from '../../../core/time.ts'
import type { Breaches, BreachRow } from './breaches.ts'
import { compareRights, rightsOf } from './compare-rights.ts'
import type { RecordedRights } from './postgres-side.ts'
import { type Purchase, partOf, type RedisSale } from './redis-side.ts'

/** What Postgres has of a sale in a shard, up to the log position of what Redis knew of it. */
export interface RecordedSale {
  /** undefined: the table of sales does not have it. */
  readonly terms: SaleTerms | undefined
  /** Item index -> purchase. */
  readonly purchases: ReadonlyMap<number, Purchase>
  /** Nonces of holds that were given back. */
  readonly released: ReadonlySet<string>
  /** Outcome code -> attempts. */
  readonly counts: ReadonlyMap<number, number>
  /** When the last attempt was decided by Redis' clock, or the last right moved: it may have been set back since. */
  readonly latestMs: number
  readonly rights: readonly RecordedRights[]
  /** Whether the shard may have been told of rights that it had forgotten: it was admitted since the sale could be opened. */
  readonly isReminded: boolean
}

export interface CompareOptions {
  readonly breaches: Breaches
  /** `false`: Postgres does not have the log up to the moment of Redis yet, so what it lacks proves nothing. */
  readonly isComplete: boolean
  /** The other shards of whose logs Postgres has all that was decided before that moment. */
  readonly completePeers: ReadonlySet<number>
  /** What the other shards know of the sale that were admitted during it as well. */
  readonly remindedPeers: ReadonlyMap<number, RedisSale>
}

/** Compares what Redis and Postgres know of one sale in one shard, and Redis with itself. */
export function compareSale(redis: RedisSale, recorded: RecordedSale, options: CompareOptions): void {
  const part = partOf(redis)
  for (const field of redis.unreadable) options.breaches.add('record_unreadable', { ...part, field })
  // A hold that was cut off from its user's entry may be alive again in its item's by a clock that has stepped back, and
  // one that was taken over in its user's. At the latest time of all they had ended, so there the two must be equal. But a
  // shard that had forgotten a release may have cut off a hold that was not over: see settling.lua.
  const mayHaveCutOff = recorded.isReminded && redis.terms.shards > 1
  compareUsers({ ...redis, nowMs: Math.max(redis.nowMs, recorded.latestMs), mayHaveCutOff }, options.breaches)
  compareTerms(redis, recorded.terms, options)
  comparePurchases(redis, recorded, options)
  compareReleases(redis, recorded, options)
  compareBuyers(redis, recorded, options)
  compareCounts({ of: part, redis: redis.counts, postgres: recorded.counts }, options)
  compareRights(redis, recorded, options)
}

/** Attempts by outcome; of the `sale` null those that named no listed sale. */
export function compareCounts(
  counts: { of: BreachRow; redis: ReadonlyMap<number, number>; postgres: ReadonlyMap<number, number> },
  { breaches, isComplete }: Pick<CompareOptions, 'breaches' | 'isComplete'>,
): void {
  for (const code of new Set([...counts.redis.keys(), ...counts.postgres.keys()])) {
    const redis = counts.redis.get(code) ?? 0
    const postgres = counts.postgres.get(code) ?? 0
    if (postgres === redis || (!isComplete && postgres < redis)) continue
    const outcome = outcomeByCode[code] ?? `unknown (${code})`
    breaches.add('attempts_differ', { ...counts.of, outcome, redis, postgres })
  }
}

function compareTerms(redisSale: RedisSale, postgres: SaleTerms | undefined, options: CompareOptions): void {
  const { breaches, isComplete } = options
  const { terms: redis } = redisSale
  const part = partOf(redisSale)
  if (postgres === undefined) {
    if (isComplete) breaches.add('terms_differ', { ...part, problem: 'Postgres does not have the sale' })
    return
  }
  for (const name of Object.keys(redis) as (keyof SaleTerms)[]) {
    if (redis[name] === postgres[name]) continue
    breaches.add('terms_differ', { ...part, term: name, redis: redis[name], postgres: postgres[name] })
  }
}

function comparePurchases(redisSale: RedisSale, { purchases }: RecordedSale, options: CompareOptions): void {
  const { terms, sold } = redisSale
  const { breaches, isComplete } = options
  const part = partOf(redisSale)
  for (const [item, inRedis] of sold) {
    const inPostgres = purchases.get(item)
    if (inPostgres === undefined) {
      if (isComplete) breaches.add('not_recorded', { ...part, item, ...shown(inRedis) })
      continue
    }
    for (const name of ['user', 'nonce', 'purchasedAtMs'] as const) {
      if (inRedis[name] === inPostgres[name]) continue
      const [redis, postgres] = [inRedis, inPostgres].map((purchase) => shownValue(purchase, name)) as [string, string]
      breaches.add('purchase_differs', { ...part, item, what: differenceNames[name], redis, postgres })
    }
  }
  for (const [item, purchase] of purchases) {
    if (!sold.has(item)) breaches.add('not_sold', { ...part, item, ...shown(purchase) })
    // The limits of the sale as Redis has them: Postgres' own checks go by what Postgres has.
    if (item < 1 || item > terms.items) breaches.add('outside_sale', { ...part, item, items: terms.items })
  }
}

const differenceNames = { user: 'buyer', nonce: 'code', purchasedAtMs: 'time' } as const

function shownValue(purchase: Purchase, name: keyof Purchase): string {
  return name === 'purchasedAtMs' ? isoTime(purchase.purchasedAtMs) : purchase[name]
}

function shown({ user, purchasedAtMs }: Purchase): { user: string; purchased_at: string } {
  return { user, purchased_at: isoTime(purchasedAtMs) }
}

/** Of the latest holds alone: an item that somebody has taken since keeps nothing of the hold before. */
function compareReleases(redisSale: RedisSale, { released }: RecordedSale, options: CompareOptions): void {
  const { terms, held } = redisSale
  const { breaches, isComplete } = options
  for (const [item, { user, nonce, expiresAtMs }] of held) {
    const inRedis = expiresAtMs === terms.opensAtMs
    const inPostgres = released.has(nonce)
    if (inRedis === inPostgres || (!isComplete && inRedis)) continue
    const problem = inRedis ? 'the release is not on record' : 'Redis has not given the hold back'
    breaches.add('release_differs', { problem, ...partOf(redisSale), item, user })
  }
}

/** By the count that Redis keeps of each user, which is what its limit goes by. */
function compareBuyers(redisSale: RedisSale, { purchases }: RecordedSale, options: CompareOptions): void {
  const { users } = redisSale
  const { breaches, isComplete } = options
  const postgresCounts = countBy(purchases.values(), ({ user }) => user)
  for (const user of new Set([...users.keys(), ...postgresCounts.keys()])) {
    const redis = users.get(user)?.purchases ?? 0
    const postgres = postgresCounts.get(user) ?? 0
    if (postgres === redis || (!isComplete && postgres < redis)) continue
    breaches.add('buyer_differs', { ...partOf(redisSale), user, redis, postgres })
  }
}

/** Redis alone: what a user has by the entries of items, against the user's entry and the limit. */
function compareUsers(redisSale: RedisSale & { readonly mayHaveCutOff: boolean }, breaches: Breaches): void {
  const { terms, nowMs, sold, held, users, counts, mayHaveCutOff } = redisSale
  const part = partOf(redisSale)
  const bought = countBy(sold.values(), ({ user }) => user)
  const holds = new Map<string, number[]>()
  for (const { user, expiresAtMs } of held.values()) {
    if (expiresAtMs <= nowMs) continue
    const expiries = holds.get(user)
    if (expiries === undefined) holds.set(user, [expiresAtMs])
    else expiries.push(expiresAtMs)
  }
  for (const user of new Set([...users.keys(), ...bought.keys(), ...holds.keys()])) {
    const entry = users.get(user) ?? { purchases: 0, holdsExpireAtMs: [], rights: [] }
    const purchases = bought.get(user) ?? 0
    const ofItems = holds.get(user) ?? []
    const live = mayHaveCutOff ? ofItems.filter((end) => entry.holdsExpireAtMs.includes(end)) : ofItems
    if (entry.purchases !== purchases) {
      const counted = { in_user_record: entry.purchases, in_item_records: purchases }
      breaches.add('user_record_differs', { ...part, user, what: 'purchases', ...counted })
    }
    const liveInEntry = entry.holdsExpireAtMs.filter((expiresAtMs) => expiresAtMs > nowMs)
    if (times(liveInEntry) !== times(live)) {
      const listed = { in_user_record: times(liveInEntry), in_item_records: times(live) }
      breaches.add('user_record_differs', { ...part, user, what: 'live holds', ...listed })
    }
    const taken = { purchases, live_holds: live.length }
    if (purchases + live.length > terms.userLimit) {
      breaches.add('over_limit', { where: 'Redis', ...part, user, ...taken, limit: terms.userLimit })
    }
    if (terms.shards === 1) continue
    const rights = rightsOf(redisSale, user, entry.rights)
    if (purchases + live.length > rights) breaches.add('over_rights', { ...part, user, ...taken, rights })
  }
  const counted = counts.get(outcomes.purchased.code) ?? 0
  if (counted !== sold.size) {
    breaches.add('sold_count_differs', { ...part, purchases_counted: counted, items_sold: sold.size })
  }
  for (const item of [...sold.keys(), ...held.keys()]) {
    if (item > terms.items) breaches.add('outside_sale', { where: 'Redis', ...part, item, items: terms.items })
    const place = shardOf(item, terms.shards)
    if (place !== redisSale.shard) breaches.add('outside_sale', { where: 'Redis', ...part, item, shard_of_item: place })
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
