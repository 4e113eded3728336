import assert from 'node:assert/strict'
import type { Postgres } from '../../core/postgres/connection.ts'
import { shardsText } from '../../core/postgres/log-offset.ts'
import type { ToldPurchase } from '../../core/purchases/recorded-purchase.ts'
import type { HttpClient } from './http-client.ts'

/** Follows GET /purchases, and keeps nothing but its cursor between two requests. */
export class PurchaseReader {
  readonly got: ToldPurchase[] = []
  cursor: string | undefined

  /** One page; answers whether there is more. A server that is away or busy is asked again by whoever calls. */
  async next(http: HttpClient, { limit, lines = false }: { limit: number; lines?: boolean }): Promise<boolean> {
    const after = this.cursor === undefined ? '' : `&after=${this.cursor}`
    const accept = lines ? 'application/x-ndjson' : 'application/json'
    const { status, headers, text, json } = await http.get(`/purchases?limit=${limit}${after}`, { headers: { accept } })
    assert.equal(status, 200, text)
    assert.equal(headers['content-type'], accept)
    const page = lines
      ? text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as ToldPurchase)
      : (json?.['purchases'] as ToldPurchase[])
    assert.ok(page.length <= limit)
    if (!lines)
      assert.deepEqual([json?.['next'], String(json?.['more'])], [headers['hotcakes-cursor'], headers['hotcakes-more']])
    this.got.push(...page)
    this.cursor = String(headers['hotcakes-cursor'])
    return headers['hotcakes-more'] === 'true'
  }

  /** That it has all that there is in Postgres, each purchase once, and those of each shard in the order of its log. */
  assertComplete(postgres: Postgres): void {
    for (const { shard } of postgres.query<{ shard: number }>(shardsText)) {
      const own = this.got.filter(
        ({ position }) => (position.includes(':') ? Number(position.split(':')[0]) : 0) === shard,
      )
      assert.deepEqual(own, recordedPurchases(postgres, shard), `shard ${shard}`)
    }
  }
}

/** Those of a shard, in the order of its log, as they are told. */
function recordedPurchases(postgres: Postgres, shard: number): ToldPurchase[] {
  return postgres
    .query<Omit<ToldPurchase, 'sale_id' | 'purchased_at'> & { sale_id: string; purchased_at: Date }>(
      `select case $1::int when 0 then '' else $1 || ':' end || epoch || '-' || batch || '-' || n as position,
         sale_id, sale_id || '-' || item_index as item_id, user_id, purchased_at
       from purchases join sales using (sale_id)
       where shard_of(item_index, shards, 21::smallint) = $1 order by epoch, batch, n`,
      [shard],
    )
    .map((row) => ({ ...row, sale_id: Number(row.sale_id), purchased_at: row.purchased_at.toISOString() }))
}
