import type { ItemId } from './ids.ts'

/**
 * The shards of this installation, and what lives where. A shard is one log: everything of a sale that is decided in one
 * function call, kept under one hash tag in Redis and one offset in Postgres. Today there is one; this is the only file that
 * names it.
 */

/**
 * The one that there always is, and that has the terms of every sale. A process of a version before says nothing of shards:
 * this is the one that it means.
 */
export const firstShard = 0

/** All of them. */
export const shardNumbers: readonly number[] = [firstShard]

/** The shard that decides on an item. */
export function shardOf(_item: ItemId): number {
  return firstShard
}
