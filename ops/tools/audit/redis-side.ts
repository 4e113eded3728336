import type { SaleTerms } from '../../../core/decisions.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import { decodeItemEntry } from '../../../core/redis/item-entry.ts'
import type { SaleSnapshot } from '../../../core/redis/sale-store.ts'
import { decodeUserEntry, type UserEntry } from '../../../core/redis/user-entry.ts'
import { firstShard } from '../../../core/shards.ts'
import type { BreachRow } from './breaches.ts'
import type { LogExtent } from './log-extent.ts'

export interface Purchase {
  readonly user: string
  readonly nonce: string
  /** ms since the epoch. */
  readonly purchasedAtMs: number
}

interface Hold {
  readonly user: string
  readonly nonce: string
  /** ms since the epoch. */
  readonly expiresAtMs: number
}

/** What a shard knew of a sale at one moment, which is the one just after the log entry at `position`. */
export interface RedisSale {
  readonly shard: number
  readonly terms: SaleTerms
  readonly nowMs: number
  readonly position: LogPosition
  /** Item index -> purchase. */
  readonly sold: ReadonlyMap<number, Purchase>
  /** Item index -> latest hold, which may have expired. */
  readonly held: ReadonlyMap<number, Hold>
  readonly users: ReadonlyMap<string, UserEntry>
  /** Outcome code -> how often it was decided. */
  readonly counts: ReadonlyMap<number, number>
  /** Fields of the hashes of items and users whose entries have no known form. */
  readonly unreadable: readonly string[]
}

/** What a shard said, each sale at a moment of its own. */
export interface ShardSide {
  readonly shard: number
  readonly extent: LogExtent
  /** Listed sales; undefined: Redis has dropped its keys. */
  readonly sales: ReadonlyMap<number, RedisSale | undefined>
  /** Where its log was after all that was read, of it and of the others. */
  readonly position: LogPosition
}

/** undefined when the shard has the sale no more: it does not list it, or has dropped its keys already. */
export function decodeSnapshot(snapshot: SaleSnapshot, shard: number = firstShard): RedisSale | undefined {
  const { terms, expiresAtMs, nowMs, last, counts } = snapshot
  if (terms === undefined || expiresAtMs === undefined || expiresAtMs <= nowMs) return undefined
  const { opensAtMs } = terms
  const sold = new Map<number, Purchase>()
  const held = new Map<number, Hold>()
  const users = new Map<string, UserEntry>()
  const unreadable: string[] = []

  for (const [field, entry] of snapshot.items) {
    const item = /^[1-9]\d{0,14}$/.test(field) ? decodeItemEntry(entry, opensAtMs) : undefined
    if (item === undefined) {
      unreadable.push(`items ${field}`)
      continue
    }
    const { state, nonce, user, atMs } = item
    if (state === 'sold') sold.set(Number(field), { user, nonce, purchasedAtMs: atMs })
    else held.set(Number(field), { user, nonce, expiresAtMs: atMs })
  }
  for (const [user, bytes] of snapshot.users) {
    const entry = decodeUserEntry(bytes, opensAtMs, terms.shards)
    if (entry === undefined) unreadable.push(`users ${user}`)
    else users.set(user, entry)
  }
  return { shard, terms, nowMs, position: last, sold, held, users, counts, unreadable }
}

/** How a sale in a shard is named; where a sale has one shard, nobody needs to know of shards. */
export function partOf({ terms, shard }: Pick<RedisSale, 'terms' | 'shard'>): { readonly sale: number } & BreachRow {
  return terms.shards === 1 ? { sale: terms.sale } : { sale: terms.sale, shard }
}
