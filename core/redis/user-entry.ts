/** What takes up a user's limit in a sale. */
export interface UserEntry {
  readonly purchases: number
  /** Of holds that were not purchased, those that expire first first: ms since the epoch. They may have expired. */
  readonly holdsExpireAtMs: readonly number[]
}

// The layout is functions/shared.lua's.
const purchasesLength = 2
const expiryLength = 4

export function encodeUserEntry({ purchases, holdsExpireAtMs }: UserEntry, opensAtMs: number): Buffer {
  const entry = Buffer.alloc(purchasesLength + expiryLength * holdsExpireAtMs.length)
  let at = entry.writeUInt16BE(purchases)
  for (const expiresAtMs of holdsExpireAtMs) at = entry.writeUInt32BE(expiresAtMs - opensAtMs, at)
  return entry
}

/** undefined when the entry has no known form. */
export function decodeUserEntry(entry: Buffer, opensAtMs: number): UserEntry | undefined {
  if (entry.length < purchasesLength || (entry.length - purchasesLength) % expiryLength !== 0) return undefined
  const holdsExpireAtMs: number[] = []
  for (let at = purchasesLength; at < entry.length; at += expiryLength) {
    holdsExpireAtMs.push(opensAtMs + entry.readUInt32BE(at))
  }
  return { purchases: entry.readUInt16BE(0), holdsExpireAtMs }
}
