import { createHash } from 'node:crypto'

/**
 * How a buyer's limit is dealt out over the shards of a sale: what functions/rights.lua decides by. Never changed: what was
 * lent and got in a sale is counted from here.
 */

const hashHexDigits = 8

/** The shard that a buyer's rights are dealt out from, and that is asked first for one: 0 to `shards` - 1. */
export function homeShard(user: string, shards: number): number {
  const digits = createHash('sha1').update(user).digest('hex').slice(0, hashHexDigits)
  return Number.parseInt(digits, 16) % shards
}

/** The rights of a buyer that a shard begins with. Over all shards of the sale they add up to the limit. */
export function baseRights({ limit, shards, shard, home }: BaseRightsOf): number {
  const place = (shard - home + shards) % shards
  return Math.floor(limit / shards) + (place < limit % shards ? 1 : 0)
}

export interface BaseRightsOf {
  readonly limit: number
  /** Of the sale. */
  readonly shards: number
  readonly shard: number
  /** Of the buyer: homeShard. */
  readonly home: number
}
