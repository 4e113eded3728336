/**
 * The shards of an installation, and what lives where. A shard is one log: everything of a sale that is decided in one
 * function call, kept under one hash tag in Redis and one offset in Postgres. This is the only file that names one.
 */

/**
 * The one that there always is, that lists every sale first, and that alone speaks for sales that are not listed. A process
 * of a version before says nothing of shards: this is the one that it means.
 */
export const firstShard = 0

/** Those of an installation that has so many. */
export function shardNumbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => firstShard + number)
}

/** How many of the items of a sale the shard decides on. */
export function itemsOfShard(shard: number, { items, shards }: { items: number; shards: number }): number {
  return Math.ceil((items - shard) / shards)
}

/** The shard that decides on an item of a sale that is spread over so many. `index`: of the item, a decimal number. */
export function shardOf(index: string | number, shards: number): number {
  return shards === 1 ? firstShard : (Number(index) - 1 + shards) % shards
}

/** What stands before a place in a shard's log wherever a client reads one: nothing for the first shard, which was once all. */
export function placePrefix(shard: number): string {
  return shard === firstShard ? '' : `${shard}:`
}
