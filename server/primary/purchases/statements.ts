import type { AsyncConnection } from '../../../core/postgres/async-connection.ts'
import { shardCountOf } from '../../../core/postgres/log-offset.ts'
import { purchaseFields, type RecordedPurchase } from '../../../core/purchases/recorded-purchase.ts'
import { type LogPlace, type ShardCursor, wholeEntry } from './cursor.ts'

/** A connection in its transaction. */
export type ReadingSession = Pick<AsyncConnection, 'query'>

/** A shard's log as far as Postgres has it, and what a cursor for it is held against. */
export interface ReachedShard {
  readonly shard: number
  readonly record: string
  /** Everything up to here is to be seen. */
  readonly end: LogPlace
  /** Epoch -> the run of Redis that it began with, from the cursor's epoch on. */
  readonly runs: ReadonlyMap<number, string>
  /** The purchase of the item that the cursor names, as it is on record now. */
  readonly last: (LogPlace & { readonly nonce: string }) | undefined
}

interface ReachedRow {
  readonly shard: number
  readonly record: string
  readonly epoch: number
  readonly seq: number
  /** JSON: epoch -> run. */
  readonly runs: string
  readonly lastEpoch: number | null
  readonly lastBatch: number | null
  readonly lastN: number | null
  readonly lastNonce: string | null
}

/** The index on places is all that may be read of the purchases: a scan of the table would be right, and take minutes. */
const planner = {
  name: 'purchases_planner',
  text: `select set_config('enable_seqscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`,
}

/** The cursor by shards: its epochs ($1), and the items of the last purchases ($2, $3). */
const reachedStatement = {
  name: 'purchases_reached',
  text: `select o.shard, o.record, o.epoch::float8 as epoch, o.seq::float8 as seq,
      (select coalesce(json_object_agg(e.epoch, e.run), '{}')::text from log_epochs e
       where e.shard = o.shard and e.epoch >= coalesce(c.epoch, 0)) as runs,
      p.epoch::float8 as "lastEpoch", p.batch::float8 as "lastBatch", p.n as "lastN", p.nonce as "lastNonce"
    from log_offsets o
    left join unnest($1::bigint[], $2::bigint[], $3::bigint[]) with ordinality c (epoch, sale, item, place)
      on c.place - 1 = o.shard
    left join purchases p on p.sale_id = c.sale and p.item_index = c.item
    order by o.shard`,
}

/** @throws Fault HC_SCHEMA when a shard has no row */
export async function readReached(
  session: ReadingSession,
  cursors: readonly ShardCursor[],
): Promise<readonly ReachedShard[]> {
  await session.query(planner)
  const rows = await session.query<ReachedRow>(reachedStatement, [
    arrayLiteral(cursors.map(({ epoch }) => epoch)),
    arrayLiteral(cursors.map(({ last }) => last?.sale ?? 0)),
    arrayLiteral(cursors.map(({ last }) => last?.index ?? 0)),
  ])
  shardCountOf(rows)
  return rows.map(({ shard, record, epoch, seq, runs, lastEpoch, lastBatch, lastN, lastNonce }) => ({
    shard,
    record,
    end: { epoch, batch: seq, n: wholeEntry },
    runs: new Map(Object.entries(JSON.parse(runs) as Record<string, string>).map(([of, run]) => [Number(of), run])),
    last:
      lastEpoch === null || lastBatch === null || lastN === null || lastNonce === null
        ? undefined
        : { epoch: lastEpoch, batch: lastBatch, n: lastN, nonce: lastNonce },
  }))
}

/** A part of a shard's log: what comes behind a place, up to an entry of the same epoch. */
export interface LogWindow extends LogPlace {
  readonly shard: number
  readonly until: number
}

/** The lower bound twice, as a comparison of rows could not use the index. Of each part $6 at most. */
const windowRows = (ofShard: string) => `
  select w.shard, found.* from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[])
    w (shard, epoch, batch, n, until)
  cross join lateral (
    select ${purchaseFields} from purchases p ${ofShard}
    where p.epoch = w.epoch and p.batch >= w.batch and p.batch <= w.until and (p.batch > w.batch or p.n > w.n)
    order by p.batch, p.n limit $6) found
  order by w.shard, found.batch, found.n`
/** For a shop of one shard, and for one of several. */
export const windowsOfOne = { name: 'purchases_of_one_shard', text: windowRows('') }
export const windowsOfSeveral = {
  name: 'purchases_of_shards',
  text: windowRows(`join lateral (select coalesce((select shards from sales s where s.sale_id = p.sale_id), 1::smallint))
    s (shards) on shard_of(p.item_index, s.shards, 21::smallint) = w.shard`),
}

/** Of each part its first rows, in the order of its log. */
export function readWindows(
  session: ReadingSession,
  windows: readonly LogWindow[],
  { quota, shards }: { quota: number; shards: number },
): Promise<RecordedPurchase[]> {
  return session.query<RecordedPurchase>(shards === 1 ? windowsOfOne : windowsOfSeveral, [
    arrayLiteral(windows.map(({ shard }) => shard)),
    arrayLiteral(windows.map(({ epoch }) => epoch)),
    arrayLiteral(windows.map(({ batch }) => batch)),
    arrayLiteral(windows.map(({ n }) => n)),
    arrayLiteral(windows.map(({ until }) => until)),
    quota,
  ])
}

function arrayLiteral(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`
}
