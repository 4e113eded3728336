import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault, undefinedForFault } from '../../../core/faults.ts'
import type { ItemEntry } from '../../../core/redis/item-entry.ts'
import type { SaleState, SaleStore } from '../../../core/redis/sale-store.ts'
import { firstShard, shardNumbers, shardOf } from '../../../core/shards.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import type { SaleDirectory } from '../selling/sale-directory.ts'

/** What is read of a shard. */
export interface ReadShard {
  readonly number: number
  readonly store: Pick<SaleStore, 'saleState' | 'someItems' | 'saleCounts' | 'isUp'>
  readonly clock: Pick<RedisClock, 'observe'>
  /** It is there, and is known to have everything that was sold. */
  readonly isReadable: boolean
  /** The last question was answered. */
  readonly isAnswering: boolean
}

export interface ShardedSalesOptions {
  /** By their numbers. */
  readonly shards: readonly ReadShard[]
  readonly directory: Pick<SaleDirectory, 'shardsOf' | 'learn'>
  /** Of several shards this one does not list the sale. */
  readonly onUnlisted: (sale: number, shard: number) => void
}

/** Of what was read of a sale: the shards that couldn't be asked, or don't have their part of it. In order of their numbers. */
interface Incomplete {
  readonly missingShards: readonly number[]
}

export interface SomeShardedItems extends Incomplete {
  /** Redis' clock, ms since the epoch. */
  readonly nowMs: number
  readonly terms: SaleTerms
  /** One for each index that was asked for, in order; undefined: nobody has touched the item, or its shard is missing. */
  readonly items: readonly (ItemEntry | undefined)[]
}

export interface OneItem extends Pick<SomeShardedItems, 'nowMs' | 'terms'> {
  /** undefined: nobody has touched it. */
  readonly item: ItemEntry | undefined
}

interface FoundPart<Part> {
  readonly shard: number
  readonly part: Part
}

/**
 * Sales as Redis has them, whichever shards they are spread over. Every method is `undefined` for a sale that is not listed,
 * and throws a Fault when no shard can say. With one shard it is asked, and that is all.
 */
export class ShardedSales {
  readonly #options: ShardedSalesOptions
  readonly #only: ReadShard | undefined

  constructor(options: ShardedSalesOptions) {
    this.#options = options
    const [first, ...others] = options.shards
    this.#only = others.length === 0 ? first : undefined
  }

  /** Whether there is a connection to some shard. */
  get isUp(): boolean {
    return this.#options.shards.some(({ store }) => store.isUp)
  }

  /** Whether some shard can be read that knows of the sale. */
  canRead(sale: number): boolean {
    const { shards, directory } = this.#options
    const spread = this.#only === undefined ? directory.shardsOf(sale) : 1
    // The first one knows every sale.
    return shards.some(({ number, isReadable }) => isReadable && number < (spread ?? 1))
  }

  /** The sum of what its shards have. */
  async state(sale: number): Promise<(SaleState & Incomplete) | undefined> {
    const found = await this.#parts(sale, (store) => store.saleState(sale))
    if (found === undefined) return undefined
    const { parts, missingShards } = found
    for (const { shard, part } of parts) this.#options.shards[shard]?.clock.observe(part.nowMs)
    const [{ part: first }] = parts
    const held = sumOf(parts.map(({ part }) => part.held))
    return { ...first, held, sold: sumOf(parts.map(({ part }) => part.sold)), missingShards }
  }

  /** The items from `first` on, whether the sale has so many or not. */
  async someItems(sale: number, first: number, count: number): Promise<SomeShardedItems | undefined> {
    const found = await this.#parts(sale, (store, shard, shards) => {
      const before = (shard - shardOf(first, shards) + shards) % shards
      const here = Math.max(1, Math.ceil((count - before) / shards)) // of none one is asked for: the terms come with it
      return store.someItems(sale, first + before, here, shards)
    })
    if (found === undefined) return undefined
    const { parts, missingShards } = found
    const [{ part }] = parts
    const { nowMs, terms } = part
    const partByShard = new Map(parts.map(({ shard, part: { items } }) => [shard, items.values()]))
    const items = Array.from({ length: count }, (_, at) => {
      return partByShard.get(shardOf(first + at, terms.shards))?.next().value
    })
    return { nowMs, terms, items, missingShards }
  }

  /** @throws Fault HC_REDIS_UNAVAILABLE when the item's shard can't be read */
  async item(sale: number, index: number): Promise<OneItem | undefined> {
    const shard = await this.shardOfItem(sale, index)
    if (shard !== this.#only && shard?.isReadable === false) throw notReadable(shard.number)
    const found = await shard?.store.someItems(sale, index, 1)
    if (found === undefined) return undefined
    const { nowMs, terms, items } = found
    return { nowMs, terms, item: items[0] }
  }

  /** The shard that the item belongs to; `undefined`: the sale is not listed. */
  async shardOfItem(sale: number, index: number): Promise<ReadShard | undefined> {
    if (this.#only !== undefined) return this.#only
    const shards = await this.#shardsOf(sale)
    if (shards === undefined) return undefined
    const number = shardOf(index, shards)
    const shard = this.#options.shards[number]
    if (shard === undefined) throw notReadable(number)
    return shard
  }

  /** Outcome code -> how often it was decided for the sale; of the shards that could be asked. */
  async counts(
    sale: number,
  ): Promise<({ terms: SaleTerms; counts: ReadonlyMap<number, number> } & Incomplete) | undefined> {
    const found = await this.#parts(sale, (store) => store.saleCounts(sale))
    if (found === undefined) return undefined
    const { parts, missingShards } = found
    const [{ part: first }] = parts
    if (parts.length === 1) return { ...first, missingShards }
    const counts = new Map<number, number>()
    for (const { part } of parts) {
      for (const [outcome, count] of part.counts) counts.set(outcome, (counts.get(outcome) ?? 0) + count)
    }
    return { terms: first.terms, counts, missingShards }
  }

  /** Asks all shards of the sale that can be asked. `undefined`: none lists it. */
  async #parts<Part extends object>(
    sale: number,
    ask: (store: ReadShard['store'], shard: number, shards: number) => Promise<Part | undefined>,
  ): Promise<({ parts: [FoundPart<Part>, ...FoundPart<Part>[]] } & Incomplete) | undefined> {
    if (this.#only !== undefined) {
      const part = await ask(this.#only.store, firstShard, 1)
      return part && { parts: [{ shard: firstShard, part }], missingShards: [] }
    }
    const shards = await this.#shardsOf(sale)
    if (shards === undefined) return undefined
    const asked = shardNumbers(shards).map((number) => this.#partOf(number, (store) => ask(store, number, shards)))
    const answers = await Promise.all(asked)
    const parts = answers.flatMap((part, shard) => (typeof part === 'object' ? [{ shard, part }] : []))
    const missingShards = answers.flatMap((part, shard) => (typeof part === 'object' ? [] : [shard]))
    for (const shard of missingShards) if (answers[shard] === 'unlisted') this.#options.onUnlisted(sale, shard)
    const [first, ...others] = parts
    if (first !== undefined) return { parts: [first, ...others], missingShards }
    if (answers.every((part) => part === 'unlisted')) return undefined
    throw notReadable(missingShards[0] ?? firstShard)
  }

  async #partOf<Part extends object>(
    number: number,
    ask: (store: ReadShard['store']) => Promise<Part | undefined>,
  ): Promise<Part | 'unlisted' | 'away'> {
    const shard = this.#options.shards[number]
    if (shard?.isReadable !== true || !shard.isAnswering) return 'away'
    const part = await ask(shard.store).then((answer) => answer ?? ('unlisted' as const), undefinedForFault)
    return part ?? 'away'
  }

  /** Over how many shards it is spread; `undefined`: it is not listed. */
  async #shardsOf(sale: number): Promise<number | undefined> {
    const { shards, directory } = this.#options
    const known = directory.shardsOf(sale)
    if (known !== undefined) return known
    let away: number | undefined
    for (const { number } of shards) {
      const state = await this.#partOf(number, (store) => store.saleState(sale))
      if (typeof state === 'object') {
        directory.learn(sale, state.shards)
        return state.shards
      }
      // The first one lists every sale.
      if (state === 'unlisted' && number === firstShard) return undefined
      if (state === 'away') away ??= number
    }
    throw notReadable(away ?? firstShard)
  }
}

function notReadable(shard: number): Fault {
  return new Fault('HC_REDIS_UNAVAILABLE', `shard ${shard} can't be read`)
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
