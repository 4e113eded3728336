import { randomUUID } from 'node:crypto'

import type { SaleTerms } from '../decisions.ts'
import { rebuildValuesMax } from '../limits.ts'
import { callFunction, functionName } from './library.ts'
import type { ShardEpoch } from './rights-store.ts'
import type { SaleStore } from './sale-store.ts'

/** The keys of a sale that a rebuild fills. */
export type SalePart = 'items' | 'users' | 'counts' | 'holds' | 'lapsed'

/**
 * One attempt to write the state of Redis anew. Of several attempts at once only the one that began last can write, and
 * none can go on in another run of Redis than it began in: its earlier writes may be missing there.
 */
export class RebuildWriter {
  readonly #store: SaleStore
  readonly #id = randomUUID()

  constructor(store: SaleStore) {
    this.#store = store
  }

  /** Drops all there is. @throws Fault, as all of these */
  async begin(recordId: string): Promise<void> {
    await this.#call('rebuild_begin', recordId)
  }

  async sale(terms: SaleTerms, ttlSeconds: number): Promise<void> {
    const { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards } = terms
    await this.#call('rebuild_sale', sale, opensAtMs, closesAtMs, items, userLimit, holdMs, ttlSeconds, shards)
  }

  /** `values`: field and value by turns; of `lapsed` nonces. */
  async put(sale: number, part: SalePart, values: readonly (string | number | Buffer)[]): Promise<void> {
    for (let at = 0; at < values.length; at += rebuildValuesMax) {
      await this.#call('rebuild_put', sale, part, ...values.slice(at, at + rebuildValuesMax))
    }
  }

  /** Lets Redis decide, in that epoch. @param accepts as Admitted has it */
  async end(epoch: number, accepts: readonly ShardEpoch[] = []): Promise<void> {
    const pairs = accepts.flatMap((each) => [each.shard, each.epoch])
    await this.#call('rebuild_end', epoch, this.#store.run, ...pairs)
  }

  async #call(
    name: 'rebuild_begin' | 'rebuild_sale' | 'rebuild_put' | 'rebuild_end',
    ...args: (string | number | Buffer)[]
  ): Promise<void> {
    const { redis, keys, run } = this.#store
    const sales = typeof args[0] === 'number' && name !== 'rebuild_end' ? [args[0]] : []
    await callFunction(redis, keys, { name: functionName(name), args: [`${run}/${this.#id}`, ...args], sales })
  }
}
