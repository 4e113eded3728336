/**
 * Counts that may be of a shard, in one flat array: to count is an addition, and labels are made only when somebody asks. What
 * is of no shard counts by itself, so the sum over the shards is what a server of one shard would say.
 */
export class CountsByShard<Key extends string> {
  readonly #keys: readonly Key[]
  readonly #places: ReadonlyMap<Key, number>
  readonly #toldApart: number
  /** All keys without a shard, and then of each shard. */
  readonly #counts: Float64Array

  /** With one shard nothing is told of shards. */
  constructor(keys: readonly Key[], shardCount: number) {
    this.#keys = keys
    this.#places = new Map(keys.map((key, place) => [key, place]))
    this.#toldApart = shardCount === 1 ? 0 : shardCount
    this.#counts = new Float64Array(keys.length * (this.#toldApart + 1))
  }

  /** @param shard undefined: of none, or it is not known */
  add(key: Key, shard?: number): void {
    const row = shard === undefined || this.#toldApart === 0 ? 0 : shard + 1
    const at = row * this.#keys.length + (this.#places.get(key) as number)
    this.#counts[at] = (this.#counts[at] as number) + 1
  }

  /** Each count with its labels: those of no shard first. */
  *series(): Generator<{ readonly key: Key; readonly shard: { readonly shard?: string }; readonly count: number }> {
    for (const [at, count] of this.#counts.entries()) {
      const row = Math.floor(at / this.#keys.length)
      yield {
        key: this.#keys[at % this.#keys.length] as Key,
        shard: row === 0 ? {} : { shard: String(row - 1) },
        count,
      }
    }
  }
}
