/** The shards of this installation; today there is one. No other file of the server names a shard's number. */
export const shardNumbers: readonly number[] = [0]

/** The shard that a sale lives in. The one place that decides it. */
export function shardOf(_sale: number): number {
  return 0
}
