import { nonceLength } from '../ids.ts'

/** What Redis has of an item that somebody has touched. */
export interface DecodedItem {
  /** held: the latest hold, which may have expired. */
  readonly state: 'held' | 'sold'
  /** Last part of the code of that hold, which for a sold item is the one that bought it: a secret of its buyer's. */
  readonly nonce: string
  readonly user: string
  /** When the hold expires, or the moment of the purchase: ms since the epoch. */
  readonly atMs: number
}

// See the layouts in the header of functions/shared.lua.
const states = new Map([
  ['h'.charCodeAt(0), 'held'],
  ['s'.charCodeAt(0), 'sold'],
] as const)
const nonceAt = 1
const timeAt = nonceAt + nonceLength
const userAt = timeAt + 4

/** undefined when the record is of no known form. */
export function decodeItem(record: Buffer, opensAtMs: number): DecodedItem | undefined {
  const state = states.get(record[0] ?? 0)
  if (state === undefined || record.length <= userAt) return undefined
  return {
    state,
    nonce: record.toString('latin1', nonceAt, timeAt),
    user: record.toString('latin1', userAt),
    atMs: opensAtMs + record.readUInt32BE(timeAt),
  }
}
