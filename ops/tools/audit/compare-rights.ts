import type { MovedRights } from '../../../core/redis/user-entry.ts'
import { baseRights, homeShard } from '../../../core/rights.ts'
import type { CompareOptions, RecordedSale } from './compare.ts'
import type { RecordedRights } from './postgres-side.ts'
import { partOf, type RedisSale } from './redis-side.ts'

/** How much of a sale of several shards a user may have in this one. */
export function rightsOf({ terms, shard }: RedisSale, user: string, moved: readonly MovedRights[]): number {
  const { userLimit: limit, shards } = terms
  const base = baseRights({ limit, shards, shard, home: homeShard(user, shards) })
  return moved.reduce((rights, { lent, got }) => rights + got - lent, base)
}

const nothingMoved = { lent: 0, got: 0, taken: 0, given: 0 }

/**
 * What a shard knows of moved rights, against the record. Its own rows are the least: each move is logged in the step that makes
 * it. It may know of more: what it had forgotten when it was admitted the other shards told it. So where it was admitted during
 * the sale the other's rows are the most. Where both were, the most may be what the other one knows: what both had forgotten
 * they have settled between them, which nothing is logged of.
 */
export function compareRights(redisSale: RedisSale, recordedSale: RecordedSale, options: CompareOptions): void {
  const { terms, users } = redisSale
  const { rights, isReminded } = recordedSale
  if (terms.shards === 1) return
  const recorded = new Map(rights.map((row) => [keyOf(row.user, row.peer), row]))
  for (const [user, entry] of users) {
    for (const known of entry.rights) {
      const key = keyOf(user, known.peer)
      compareOne({ redisSale, isReminded, user, known, row: recorded.get(key) ?? nothingMoved }, options)
      recorded.delete(key)
    }
  }
  for (const row of recorded.values()) {
    compareOne({ redisSale, isReminded, user: row.user, known: { peer: row.peer, lent: 0, got: 0 }, row }, options)
  }
}

function keyOf(user: string, peer: number): string {
  return `${peer} ${user}`
}

interface OnePeer {
  readonly redisSale: RedisSale
  readonly isReminded: boolean
  readonly user: string
  readonly known: MovedRights
  readonly row: Omit<RecordedRights, 'user' | 'peer'>
}

function compareOne({ redisSale, isReminded, user, known, row }: OnePeer, options: CompareOptions): void {
  const { breaches, isComplete, completePeers, remindedPeers } = options
  const { peer } = known
  const isAllThere = isComplete && (!isReminded || completePeers.has(peer))
  const mostOf = (own: number, others: number, settled = 0) => (isReminded ? Math.max(own, others, settled) : own)
  const other = remindedPeers
    .get(peer)
    ?.users.get(user)
    ?.rights.find((each) => each.peer === redisSale.shard)
  const sides = [
    { what: 'lent', redis: known.lent, least: row.lent, most: mostOf(row.lent, row.taken, other?.got) },
    { what: 'got', redis: known.got, least: row.got, most: mostOf(row.got, row.given, other?.lent) },
  ]
  for (const { what, redis, least, most } of sides) {
    if (redis >= least && (redis <= most || !isAllThere)) continue
    breaches.add('rights_differ', {
      ...partOf(redisSale),
      user,
      peer,
      what,
      redis,
      postgres: redis < least ? least : most,
    })
  }
}
