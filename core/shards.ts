/**
 * The shards of this installation, and what lives where. A shard is one log: everything of a sale that is decided in one
 * function call, kept under one hash tag in Redis and one offset in Postgres. Today there is one; this is the only file that
 * names it.
 */

/** The one that there always is. A process of a version before says nothing of shards: this is the one that it means. */
export const firstShard = 0

/** All of them. */
export const shardNumbers: readonly number[] = [firstShard]

/** The shard that a sale lives in. */
export function shardOf(_sale: number): number {
  return firstShard
}
