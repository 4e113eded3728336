import { nonceLength } from '../ids.ts'

/** What Redis has of an item that somebody has touched. */
export interface ItemEntry {
  /** held: the latest hold, which may have expired, or was released: see encodeReleasedItem. */
  readonly state: 'held' | 'sold'
  /** Last part of the code of that hold, which for a sold item is the one that bought it: a secret of its buyer's. */
  readonly nonce: string
  readonly user: string
  /** When the hold expires, or the moment of the purchase: ms since the epoch. */
  readonly atMs: number
}

// The layout is that of functions/shared.lua, which counts bytes from 1. Nonces and users are ASCII: see ids.ts.
const letters = { held: 'h', sold: 's' } as const
const heldByte = letters.held.charCodeAt(0)
const soldByte = letters.sold.charCodeAt(0)
const nonceAt = 1
const timeAt = nonceAt + nonceLength
const userAt = timeAt + 4

export function encodeItemEntry({ state, nonce, user, atMs }: ItemEntry, opensAtMs: number): Buffer {
  const entry = Buffer.from(`${letters[state]}${nonce}\0\0\0\0${user}`)
  entry.writeUInt32BE(atMs - opensAtMs, timeAt)
  return entry
}

/** Of a hold that was released: it ends at the sale's opening, before which nobody has held anything. */
export function encodeReleasedItem({ nonce, user }: Pick<ItemEntry, 'nonce' | 'user'>): Buffer {
  return encodeItemEntry({ state: 'held', nonce, user, atMs: 0 }, 0)
}

/** undefined when the entry has no known form. */
export function decodeItemEntry(entry: Buffer, opensAtMs: number): ItemEntry | undefined {
  const state = entry[0] === heldByte ? 'held' : entry[0] === soldByte ? 'sold' : undefined
  if (state === undefined || entry.length <= userAt) return undefined
  return {
    state,
    nonce: entry.toString('latin1', nonceAt, timeAt),
    user: entry.toString('latin1', userAt),
    atMs: opensAtMs + itemEntryTimeMs(entry),
  }
}

/** With `itemEntryTimeMs` for a reader of whole sales: no string and no object an item. */
export function isItemEntrySold(entry: Buffer): boolean {
  return entry[0] === soldByte
}

/** Expiry of the hold or moment of the purchase, ms since the sale opened. */
export function itemEntryTimeMs(entry: Buffer): number {
  return entry.readUInt32BE(timeAt)
}
