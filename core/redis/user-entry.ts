/** What takes up a user's limit in a sale. */
export interface UserEntry {
  readonly purchases: number
  /** Of holds that were not purchased, those that expire first first: ms since the epoch. They may have expired. */
  readonly holdsExpireAtMs: readonly number[]
  /** In a sale of several shards: the other shards that have lent one of the user's rights or got one, in their order. */
  readonly rights: readonly MovedRights[]
}

/** Both are counted from the beginning of the sale. */
export interface MovedRights {
  readonly peer: number
  /** Lent to it. */
  readonly lent: number
  /** Got from it. */
  readonly got: number
}

// The layout is that of functions/shared.lua and rights.lua.
const purchasesLength = 2
const expiryLength = 4
const rightLength = 9

/** @param shards of the sale */
export function encodeUserEntry(
  { purchases, holdsExpireAtMs, rights }: UserEntry,
  opensAtMs: number,
  shards: number,
): Buffer {
  const rightsLength = shards === 1 ? 0 : rightLength * rights.length + 1
  const entry = Buffer.alloc(purchasesLength + expiryLength * holdsExpireAtMs.length + rightsLength)
  let at = entry.writeUInt16BE(purchases)
  for (const expiresAtMs of holdsExpireAtMs) at = entry.writeUInt32BE(expiresAtMs - opensAtMs, at)
  if (shards === 1) return entry
  for (const { peer, lent, got } of rights) {
    at = entry.writeUInt8(peer, at)
    at = entry.writeUInt32BE(lent, at)
    at = entry.writeUInt32BE(got, at)
  }
  entry.writeUInt8(rights.length, at)
  return entry
}

/** undefined when the entry has no known form. @param shards of the sale */
export function decodeUserEntry(entry: Buffer, opensAtMs: number, shards: number): UserEntry | undefined {
  const rightsAt = shards === 1 ? entry.length : entry.length - 1 - rightLength * (entry.at(-1) ?? 0)
  if (rightsAt < purchasesLength || (rightsAt - purchasesLength) % expiryLength !== 0) return undefined
  const holdsExpireAtMs: number[] = []
  for (let at = purchasesLength; at < rightsAt; at += expiryLength) {
    holdsExpireAtMs.push(opensAtMs + entry.readUInt32BE(at))
  }
  const rights: MovedRights[] = []
  for (let at = rightsAt; at + rightLength <= entry.length; at += rightLength) {
    rights.push({ peer: entry.readUInt8(at), lent: entry.readUInt32BE(at + 1), got: entry.readUInt32BE(at + 5) })
  }
  return { purchases: entry.readUInt16BE(0), holdsExpireAtMs, rights }
}
