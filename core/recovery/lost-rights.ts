import type { SaleTerms } from '../decisions.ts'
import type { RightsOfUser } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import type { Queries } from './record-head.ts'
import { recordedRights, slotsInOrder } from './sales-on-record.ts'
import { rightsWith } from './settle-rights.ts'
import { UserSlots } from './user-slots.ts'

export interface LostShards {
  readonly session: Queries
  readonly terms: SaleTerms
  /** Those that were declared lost. */
  readonly shards: readonly number[]
  /** Those that can be asked, and whether each decides. */
  readonly asked: readonly { readonly store: SaleStore; readonly isAdmitted: boolean }[]
  /** Redis' clock: of several the one that is behind. */
  readonly nowMs: number
}

/** A buyer who will be short of rights at a shard that was declared lost, when it is back. */
export interface ShortWhenBack {
  readonly shard: number
  readonly user: string
  readonly missing: number
}

/**
 * Buyers as they will be at the shards that were declared lost, when these are back: what others know and what is on record
 * together. One may be short there: a lost shard had a right from one that has forgotten that as well, and has passed it on to
 * one that remembers.
 */
export class LostRights {
  /** By shard, then by user: the same users for each. */
  readonly #slots: ReadonlyMap<number, ReadonlyMap<string, UserSlots>>
  readonly #nowMs: number

  private constructor(slots: ReadonlyMap<number, ReadonlyMap<string, UserSlots>>, nowMs: number) {
    this.#slots = slots
    this.#nowMs = nowMs
  }

  /** Of these users, and of all of whose rights somebody knows something that has to do with a lost shard. */
  static async of(options: LostShards, users: Iterable<string>): Promise<LostRights> {
    const { session, terms, shards: lost, nowMs } = options
    const { sale, shards, userLimit: limit } = terms
    const told = new Map<number, readonly Told[]>()
    for (const shard of lost) told.set(shard, await toldOf(options, shard))
    const all = new Set([...users, ...[...told.values()].flat().map(([, { user }]) => user)])
    const slots = new Map<number, ReadonlyMap<string, UserSlots>>()
    for (const [shard, rights] of all.size > 0 ? told : []) {
      const here = new Map([...all].map((user) => [user, new UserSlots({ user, limit, shards, shard })]))
      for await (const rows of slotsInOrder(session, { sale, shards, shard })) {
        for (const row of rows) here.get(row.user)?.take(row)
      }
      for (const [peer, { user, lent, got }] of rights) {
        // One's lent is the other's got.
        if (lent > 0) here.get(user)?.got(peer, lent)
        if (got > 0) here.get(user)?.lent(peer, { total: got, atMs: nowMs })
      }
      slots.set(shard, here)
    }
    return new LostRights(slots, nowMs)
  }

  get short(): ShortWhenBack[] {
    const all = [...this.#slots].flatMap(([shard, users]) =>
      [...users].map(([user, here]) => ({ shard, user, missing: here.missingAt(this.#nowMs) })),
    )
    return all.filter(({ missing }) => missing > 0)
  }

  /** How many of a buyer's rights they have together beyond purchases: holds can be cut off when they are back. */
  spare(user: string): number {
    return [...this.#slots.values()].reduce((total, users) => total + (users.get(user)?.spare ?? 0), 0)
  }

  /** @param total what a shard that waits has lent it since the beginning */
  got({ shard, user }: ShortWhenBack, from: number, total: number): void {
    this.#slots.get(shard)?.get(user)?.got(from, total)
  }
}

type Told = readonly [peer: number, RightsOfUser]

/** What others know of the shard's rights. */
async function toldOf({ session, terms, shards, asked }: LostShards, shard: number): Promise<Told[]> {
  const { sale } = terms
  const told: Told[] = []
  for (const { store, isAdmitted } of asked) {
    for await (const users of rightsWith(store, { sale, peer: shard, isAdmitted })) {
      for (const each of users) told.push([store.shard, each])
    }
  }
  for (const other of shards) {
    const found = other === shard ? [] : await recordedRights(session, { shard: other, peer: shard, sales: [sale] })
    for (const each of found) told.push([other, each])
  }
  return told
}
