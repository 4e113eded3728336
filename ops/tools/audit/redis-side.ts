import type { SaleTerms } from '../../../core/decisions.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import { decodeItem } from '../../../core/redis/decoded-item.ts'
import type { SaleSnapshot } from '../../../core/redis/sale-store.ts'

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

interface UserRecord {
  readonly purchases: number
  /** ms since the epoch, oldest first. */
  readonly holdsExpireAtMs: readonly number[]
}

/** What Redis knew of a sale at one moment, which is the one just after the log entry at `position`. */
export interface RedisSale {
  readonly terms: SaleTerms
  readonly nowMs: number
  readonly position: LogPosition
  /** Item index -> purchase. */
  readonly sold: ReadonlyMap<number, Purchase>
  /** Item index -> latest hold, which may have expired. */
  readonly held: ReadonlyMap<number, Hold>
  readonly users: ReadonlyMap<string, UserRecord>
  /** Outcome code -> how often it was decided. */
  readonly counts: ReadonlyMap<number, number>
  /** Fields of the hashes of items and users whose records are of no known form. */
  readonly unreadable: readonly string[]
}

const firstHoldAt = 2
const holdLength = 4

/** undefined when Redis has the sale no more: it does not list it, or has dropped its keys already. */
export function decodeSnapshot(snapshot: SaleSnapshot): RedisSale | undefined {
  const { terms, expiresAtMs, nowMs, last, counts } = snapshot
  if (terms === undefined || expiresAtMs === undefined || expiresAtMs <= nowMs) return undefined
  const { opensAtMs } = terms
  const sold = new Map<number, Purchase>()
  const held = new Map<number, Hold>()
  const users = new Map<string, UserRecord>()
  const unreadable: string[] = []

  for (const [field, record] of snapshot.items) {
    const item = /^[1-9]\d{0,14}$/.test(field) ? decodeItem(record, opensAtMs) : undefined
    if (item === undefined) {
      unreadable.push(`items ${field}`)
      continue
    }
    const { state, nonce, user, atMs } = item
    if (state === 'sold') sold.set(Number(field), { user, nonce, purchasedAtMs: atMs })
    else held.set(Number(field), { user, nonce, expiresAtMs: atMs })
  }
  for (const [user, record] of snapshot.users) {
    if (record.length < firstHoldAt || (record.length - firstHoldAt) % holdLength !== 0) {
      unreadable.push(`users ${user}`)
      continue
    }
    const holdsExpireAtMs: number[] = []
    for (let at = firstHoldAt; at < record.length; at += holdLength) {
      holdsExpireAtMs.push(opensAtMs + record.readUInt32BE(at))
    }
    users.set(user, { purchases: record.readUInt16BE(0), holdsExpireAtMs })
  }
  return { terms, nowMs, position: last, sold, held, users, counts, unreadable }
}
