/**
 * The names of all keys. Those of a shard carry one hash tag, the log included, so that one function call may touch
 * them all in a cluster. Nothing that a client sends is ever part of a name: sale numbers come from the list of sales.
 */

export interface ShardKeys {
  readonly shard: number
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
  /** Hash: item index -> item entry, of a listed sale. */
  readonly items: (sale: number) => string
  /** Hash: user -> user entry, of a listed sale. */
  readonly users: (sale: number) => string
  /** What a function call gets as KEYS; `sales`: those whose keys it may touch. */
  readonly declared: (sales: readonly number[]) => readonly string[]
}

/** In the order in which functions/sale.lua looks for them. */
const partsOfSale = ['items', 'users', 'counts', 'holds', 'lapsed', 'changes'] as const

/**
 * @param options.isCluster then a call names every key that it may touch. While the slot moves to another node the cluster
 *   refuses the whole call; keys that it does not know of it refuses one by one, after others were written
 */
export function shardKeys(shard: number, { isCluster = false } = {}): ShardKeys {
  const prefix = `{hotcakes:${shard}}:`
  return {
    shard,
    prefix,
    sales: `${prefix}sales`,
    log: `${prefix}log`,
    persister: `${prefix}persister`,
    committed: `${prefix}committed`,
    countsUnlisted: `${prefix}counts:unlisted`,
    items: (sale) => `${prefix}sale:${sale}:items`,
    users: (sale) => `${prefix}sale:${sale}:users`,
    declared: isCluster ? declaredKeys(prefix) : constantly([`${prefix}sales`, `${prefix}log`]),
  }
}

function declaredKeys(prefix: string): ShardKeys['declared'] {
  const ofShard = ['sales', 'log', 'counts:unlisted', 'persister'].map((name) => prefix + name)
  return (sales) => [...ofShard, ...sales.flatMap((sale) => partsOfSale.map((part) => `${prefix}sale:${sale}:${part}`))]
}

function constantly<Value>(value: Value): () => Value {
  return () => value
}
