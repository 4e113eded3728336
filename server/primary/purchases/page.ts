import type { RecordedPurchase } from '../../../core/purchases/recorded-purchase.ts'

/** Of a purchase as JSON, beside its user: keys, numbers and times. */
const bytesBeside = 200

export interface CutPage {
  readonly purchases: readonly RecordedPurchase[]
  /** Shards of which something was left out. */
  readonly cut: ReadonlySet<number>
}

/**
 * One page of the purchases of several shards. Each shard's keep the order of its log; among the shards the earlier comes first by
 * their clocks, which is as good as any: nothing that matters depends on it.
 */
export function cutPage(found: readonly (readonly RecordedPurchase[])[], bytesMax: number): CutPage {
  const purchases: RecordedPurchase[] = []
  const cut = new Set<number>()
  const queues = found.filter((rows) => rows.length > 0).map((rows) => ({ rows, at: 0 }))
  let bytes = 0
  for (;;) {
    let first: { queue: (typeof queues)[number]; row: RecordedPurchase } | undefined
    for (const queue of queues) {
      const row = queue.rows[queue.at]
      if (row !== undefined && (first === undefined || row.at < first.row.at)) first = { queue, row }
    }
    if (first === undefined) return { purchases, cut }
    bytes += bytesBeside + Buffer.byteLength(first.row.user)
    if (purchases.length > 0 && bytes > bytesMax) break
    purchases.push(first.row)
    first.queue.at++
  }
  for (const { rows, at } of queues) if (rows[at] !== undefined) cut.add(rows[at].shard)
  return { purchases, cut }
}
