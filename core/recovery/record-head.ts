import { type LogOffsetRow, noOffsetRow, offsetPosition } from '../postgres/log-offset.ts'
import type { Parameter } from '../postgres/parameter.ts'
import type { LogEpoch } from './log-chain.ts'
import type { RecordHead } from './verdict.ts'

/** What statements are sent to: a pool, or the connection of one transaction. */
export interface Queries {
  query<Row extends object>(statement: { readonly text: string }, parameters?: readonly Parameter[]): Promise<Row[]>
}

/** The record, as far as recovery uses it. */
export interface RecordDatabase extends Queries {
  transaction<Result>(work: (session: Queries) => Promise<Result>): Promise<Result>
}

/** In the place of a run of Redis: no Redis has it, nor a connection that doesn't know its own yet (''). */
export const noRun = '-'

interface HeadRow extends LogOffsetRow {
  /** Of an epoch; null: there is none. */
  readonly begun: string | null
  readonly begun_with: string
  readonly after_epoch: string | null
  readonly after_seq: string | null
}

const headText = `
  select o.epoch, o.seq, o.record, o.run, e.epoch as begun, e.run as begun_with, e.after_epoch, e.after_seq
  from log_offsets o left join log_epochs e on e.shard = o.shard and (e.epoch >= o.epoch or e.run = $2)
  where o.shard = $1
  order by e.epoch`

/**
 * The identity of the record, how far it has a shard's log, and the log's epochs from there on, with those of one run.
 * @param options.lock makes persisters wait until the transaction has ended
 * @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard
 */
export async function readRecordHead(
  session: Queries,
  shard: number,
  { run = noRun, lock = false }: { readonly run?: string; readonly lock?: boolean } = {},
): Promise<RecordHead> {
  // On its own and first: rows that are joined before a lock is waited for are those of before it.
  if (lock) await session.query({ text: 'select from log_offsets where shard = $1 for update' }, [shard])
  const rows = await session.query<HeadRow>({ text: headText }, [shard, run])
  const [row] = rows
  if (row === undefined) throw noOffsetRow(shard)
  const epochs = rows.filter(({ begun }) => begun !== null).map(epochOf)
  return { committed: offsetPosition(row), id: row.record, run: row.run ?? undefined, epochs }
}

function epochOf(row: HeadRow): LogEpoch {
  const { begun, begun_with: run, after_epoch: epoch, after_seq: seq } = row
  const after = epoch === null || seq === null ? undefined : { epoch: Number(epoch), seq: Number(seq) }
  return { epoch: Number(begun), run, after }
}

/**
 * Says that the run may decide, in an epoch of its own. Without `after` the epoch follows on nothing: then the offset is set to
 * its beginning, and what else the log before held is given up.
 */
export async function beginEpoch(session: Queries, shard: number, { epoch, run, after }: LogEpoch): Promise<void> {
  await session.query(
    { text: 'insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values ($1, $2, $3, $4, $5)' },
    [shard, epoch, run, after?.epoch ?? null, after?.seq ?? null],
  )
  await session.query({ text: 'update log_offsets set run = $1 where shard = $2' }, [run, shard])
  if (after === undefined) await setOffset(session, shard, epoch)
}

/** To the beginning of an epoch. */
export async function setOffset(session: Queries, shard: number, epoch: number): Promise<void> {
  await session.query({ text: 'update log_offsets set epoch = $1, seq = 0 where shard = $2' }, [epoch, shard])
}
