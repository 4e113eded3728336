import { formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import type { AsyncConnection } from '../../../core/postgres/async-connection.ts'
import type { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { purchaseFields, type RecordedPurchase } from '../../../core/purchases/recorded-purchase.ts'
import { firstShard, placePrefix } from '../../../core/shards.ts'
import { exportRowsPerRead } from '../../limits.ts'

/** A sale at one moment of Postgres. */
export interface RecordedSale {
  readonly record: string
  readonly sale: number
  readonly opensAt: Date
  readonly closesAt: Date
  readonly items: number
  readonly purchases: number
  /** Its last hold has ended, by Postgres' clock. */
  readonly isOver: boolean
  readonly at: Date
  /** Up to where Postgres has each shard's log. */
  readonly through: readonly string[]
}

interface SaleRow extends Omit<RecordedSale, 'through'> {
  /** JSON of places by shard. */
  readonly heads: string
}

const saleText = `
  select s.sale_id::float8 as sale, s.opens_at as "opensAt", s.closes_at as "closesAt", s.items,
    now() > s.closes_at + s.hold_seconds * interval '1 s' as "isOver", now() as at,
    (select count(*) from purchases p where p.sale_id = s.sale_id)::float8 as purchases,
    (select record from log_offsets order by shard limit 1)::text as record,
    (select json_agg(json_build_object('epoch', epoch, 'seq', seq) order by shard) from log_offsets)::text as heads
  from sales s where s.sale_id = $1`

/** Its own order, so that the same rows give the same bytes. */
const cursorText = `
  declare exported no scroll cursor for
  select shard_of(p.item_index, s.shards, 21::smallint) as shard, ${purchaseFields}
  from purchases p join sales s using (sale_id)
  where p.sale_id = $1 order by 1, p.epoch, p.batch, p.n`

/**
 * Reads the purchases of a sale, some at a time. All is of one moment.
 * @param take called for each part, in order
 * @returns undefined: no such sale is on record. @throws Fault HC_POSTGRES_...; what `take` throws
 */
export function readSale(
  postgres: AsyncPostgres,
  sale: number,
  take: (purchases: readonly RecordedPurchase[], of: RecordedSale) => Promise<void>,
): Promise<RecordedSale | undefined> {
  return postgres.transaction(async (session) => {
    await session.query({ text: 'set transaction isolation level repeatable read, read only' })
    const [row] = await session.query<SaleRow>({ text: saleText }, [sale])
    if (row === undefined) return undefined
    const { heads, ...facts } = row
    const recorded = { ...facts, through: (JSON.parse(heads) as LogPosition[]).map(placeOf) }
    await session.query({ text: cursorText }, [sale])
    for (;;) {
      const purchases = await fetch(session)
      await take(purchases, recorded)
      if (purchases.length < exportRowsPerRead) return recorded
    }
  })
}

function fetch(session: AsyncConnection): Promise<RecordedPurchase[]> {
  return session.query<RecordedPurchase>({ text: `fetch ${exportRowsPerRead} from exported` })
}

function placeOf(position: LogPosition, place: number): string {
  return `${placePrefix(firstShard + place)}${formatLogPosition(position)}`
}
