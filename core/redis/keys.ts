/**
 * The names of all keys. Those of a shard carry one hash tag, the log included, so that one function call may touch
 * them all in a cluster. Nothing that a client sends is ever part of a name: sale numbers come from the list of sales.
 */

export interface ShardKeys {
  /** `{hotcakes:<shard>}:`, from which the function builds the keys of a listed sale. */
  readonly prefix: string
  /** Hash: `epoch` and one field a listed sale. */
  readonly sales: string
  /** Stream of decided batches and opened sales. */
  readonly log: string
  /** Hash: what the persister last said of itself. */
  readonly persister: string
  /** Channel: how far the log is in Postgres, said by the persister after each commit. */
  readonly committed: string
  /** Hash: outcome code -> count, for commands that named no listed sale. */
  readonly countsUnlisted: string
  /** Hash: item index -> record, of a listed sale. */
  readonly items: (sale: number) => string
}

export function shardKeys(shard: number): ShardKeys {
  const prefix = `{hotcakes:${shard}}:`
  return {
    prefix,
    sales: `${prefix}sales`,
    log: `${prefix}log`,
    persister: `${prefix}persister`,
    committed: `${prefix}committed`,
    countsUnlisted: `${prefix}counts:unlisted`,
    items: (sale) => `${prefix}sale:${sale}:items`,
  }
}
