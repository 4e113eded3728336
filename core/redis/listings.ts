import { redisFault } from './connection.ts'
import { callFunction, functionName } from './library.ts'
import { decodeSaleField, type ListedSale } from './sale-field.ts'
import type { SaleStore } from './sale-store.ts'

/** A sale that a shard lists, with the text in which it does: another shard is to list it by the same. */
export interface Listing extends ListedSale {
  readonly field: string
}

/** Every listed sale, in order of their numbers. @throws Fault */
export async function listings({ redis, keys }: SaleStore): Promise<Listing[]> {
  const fields = await redis.hgetall(keys.sales).catch((error: unknown) => {
    throw redisFault(error)
  })
  return Object.entries(fields)
    .filter(([name]) => /^\d+$/.test(name))
    .map(([name, field]) => ({ ...decodeSaleField(Number(name), field), field }))
    .toSorted((a, b) => a.terms.sale - b.terms.sale)
}

/** Lists a sale as another shard does, unless it is listed. @throws Fault HC_RECORD_UNSOUND when the run is admitted */
export async function relist({ redis, keys, run }: SaleStore, { terms, field }: Listing): Promise<void> {
  await callFunction(redis, keys, { name: functionName('relist'), args: [run, terms.sale, field] })
}
