import { type LogOffsetRow, logOffsetText, noOffsetRow, offsetPosition } from '../postgres/log-offset.ts'
import type { Parameter } from '../postgres/parameter.ts'
import type { RecordHead } from './verdict.ts'

/** What statements are sent to: a pool, or the connection of one transaction. */
export interface Queries {
  query<Row extends object>(statement: { readonly text: string }, parameters?: readonly Parameter[]): Promise<Row[]>
}

/** The record, as far as recovery uses it. */
export interface RecordDatabase extends Queries {
  transaction<Result>(work: (session: Queries) => Promise<Result>): Promise<Result>
}

/**
 * The identity of the record, and how far it has a shard's log.
 * @param lock makes persisters wait until the transaction has ended
 * @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard
 */
export async function readRecordHead(session: Queries, shard: number, lock?: 'for update'): Promise<RecordHead> {
  const text = `${logOffsetText} ${lock ?? ''}`
  const [row] = await session.query<LogOffsetRow>({ text }, [shard])
  if (row === undefined) throw noOffsetRow(shard)
  return { committed: offsetPosition(row), id: row.record }
}
