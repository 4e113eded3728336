import { formatItemId } from '../ids.ts'
import { placePrefix } from '../shards.ts'

/** A row of `purchases`, with the shard that decided it. */
export interface RecordedPurchase {
  readonly shard: number
  readonly epoch: number
  readonly batch: number
  readonly n: number
  readonly sale: number
  readonly index: number
  readonly user: string
  readonly nonce: string
  readonly at: Date
}

/** What is selected from `purchases p` to get rows of RecordedPurchase, but for the shard. */
export const purchaseFields = `p.epoch::float8 as epoch, p.batch::float8 as batch, p.n, p.sale_id::float8 as sale,
  p.item_index::float8 as index, p.user_id as user, p.nonce, p.purchased_at as at`

/** A purchase as fulfilment is told of it. The code stays out: it is the buyer's, and proves who bought. */
export interface ToldPurchase {
  readonly position: string
  readonly sale_id: number
  readonly item_id: string
  readonly user_id: string
  readonly purchased_at: string
}

export const toldColumns = [
  'position',
  'sale_id',
  'item_id',
  'user_id',
  'purchased_at',
] as const satisfies readonly (keyof ToldPurchase)[]

export function toldPurchase(purchase: RecordedPurchase): ToldPurchase {
  const { sale, index, user, at } = purchase
  return {
    position: formatPosition(purchase),
    sale_id: sale,
    item_id: formatItemId(sale, index),
    user_id: user,
    purchased_at: at.toISOString(),
  }
}

/** What Hotcakes-Decision said when it was decided: one purchase alone has it. */
function formatPosition({ shard, epoch, batch, n }: RecordedPurchase): string {
  return `${placePrefix(shard)}${epoch}-${batch}-${n}`
}
