import type { LogPosition } from '../log-position.ts'
import { type LogOffsetRow, offsetPosition } from './log-offset.ts'

/** An epoch of a log, and where the one before it ended. */
export interface BegunEpoch {
  readonly epoch: number
  /** undefined: it is not known, or nothing was before it: then the offset was set to the epoch's beginning. */
  readonly after: LogPosition | undefined
}

/** Where a shard's log is in Postgres, and all that is known of how it goes on. */
export interface LogHead {
  readonly position: LogPosition
  /** The admitted run of Redis; undefined: none was admitted yet by a version that says so. */
  readonly run: string | undefined
  /** The epochs that have begun after the position's, in their order. */
  readonly begun: readonly BegunEpoch[]
}

type BegunRow = [epoch: number, afterEpoch: number | null, afterSeq: number | null]

/** Of the shard $1: one LogHeadRow, at one moment. */
export const logHeadText = `
  select epoch, seq, record, run, (
    select coalesce(json_agg(json_build_array(e.epoch, e.after_epoch, e.after_seq) order by e.epoch), '[]')::text
    from log_epochs e where e.shard = o.shard and e.epoch > o.epoch) as begun
  from log_offsets o where shard = $1`

export interface LogHeadRow extends LogOffsetRow {
  /** JSON of BegunRow[]. */
  readonly begun: string
}

export function logHead(row: LogHeadRow): LogHead {
  const begun = (JSON.parse(row.begun) as BegunRow[]).map(([epoch, afterEpoch, afterSeq]) => {
    const after = afterEpoch === null || afterSeq === null ? undefined : { epoch: afterEpoch, seq: afterSeq }
    return { epoch, after }
  })
  return { position: offsetPosition(row), run: row.run ?? undefined, begun }
}
