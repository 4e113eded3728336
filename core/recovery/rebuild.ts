import type { RebuildWriter } from '../redis/rebuild-writer.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import { RebuiltSale } from './rebuilt-sale.ts'
import type { Queries } from './record-head.ts'
import { liveSales } from './sales-on-record.ts'

export interface RebuildOptions {
  readonly store: SaleStore
  readonly writer: RebuildWriter
  /** The identity of the record. */
  readonly recordId: string
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  /** Progress, as sentences for people. */
  readonly say: (progress: string) => void
}

/** What a rebuild has put into Redis. */
export interface Rebuilt {
  readonly sales: readonly number[]
  readonly sold: number
  readonly held: number
}

/**
 * Makes a shard in Redis what Postgres says it was: its part of the sales in which something can still be decided. It has no
 * epoch then, so nothing is decided. It may be cut short anywhere: the next one begins anew.
 * @throws Fault
 */
export async function rebuild(session: Queries, options: RebuildOptions): Promise<Rebuilt> {
  const { store, writer, recordId, ttlSeconds, say } = options
  const { shard } = store
  await writer.begin(recordId)
  const { nowMs } = await store.logState()
  const sales = await liveSales(session, shard, { nowMs, ttlSeconds })
  let sold = 0
  let held = 0
  for (const terms of sales) {
    const sale = new RebuiltSale({ session, writer, terms, shard, nowMs })
    await writer.sale(terms, ttlSeconds)
    await sale.fill()
    const part = terms.shards > 1 ? ` (shard ${shard} of ${terms.shards})` : ''
    say(`sale ${terms.sale}${part}: ${sale.sold} items sold, ${sale.held} held`)
    sold += sale.sold
    held += sale.held
  }
  return { sales: sales.map(({ sale }) => sale), sold, held }
}
