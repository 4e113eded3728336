import type { SaleTerms } from '../decisions.ts'
import type { RightsOfUser } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import type { Queries } from './record-head.ts'
import { recordedRights, slotsInOrder } from './sales-on-record.ts'
import { rightsWith, type ShortOfRights } from './settle-rights.ts'
import { UserSlots } from './user-slots.ts'

export interface LostShard {
  readonly session: Queries
  readonly terms: SaleTerms
  /** Which one was declared lost. */
  readonly shard: number
  /** Those that can be asked, and whether each decides. */
  readonly asked: readonly { readonly store: SaleStore; readonly isAdmitted: boolean }[]
  /** All that were declared lost. */
  readonly declaredLost: readonly number[]
  /** Redis' clock: of several the one that is behind. */
  readonly nowMs: number
}

/**
 * Who will be short of rights at a shard that was declared lost, when it is back. It had them from a shard that has forgotten
 * that as well, and has passed them on to one that remembers: only together what others know and what is on record tell.
 */
export async function shortWhenBack(options: LostShard): Promise<ShortOfRights[]> {
  const { session, terms, shard, declaredLost, nowMs } = options
  const { sale, shards, userLimit: limit } = terms
  const slots = new Map<string, UserSlots>()
  const told: (readonly [peer: number, RightsOfUser])[] = []
  for (const { store, isAdmitted } of options.asked) {
    for await (const users of rightsWith(store, { sale, peer: shard, isAdmitted })) {
      for (const each of users) told.push([store.shard, each])
    }
  }
  for (const other of declaredLost) {
    const found = other === shard ? [] : await recordedRights(session, { shard: other, peer: shard, sales: [sale] })
    for (const each of found) told.push([other, each])
  }
  for (const [, { user }] of told) slots.set(user, new UserSlots({ user, limit, shards, shard }))
  if (slots.size === 0) return []

  for await (const rows of slotsInOrder(session, { sale, shards, shard })) {
    for (const row of rows) slots.get(row.user)?.take(row)
  }
  for (const [peer, { user, lent, got }] of told) {
    const here = slots.get(user)
    // One's lent is the other's got.
    if (lent > 0) here?.got(peer, lent)
    if (got > 0) here?.lent(peer, { total: got, atMs: nowMs })
  }
  const missing = [...slots].map(([user, here]) => ({ user, missing: here.missingAt(nowMs) }))
  return missing.filter((each) => each.missing > 0)
}
