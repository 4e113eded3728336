import { Fault } from '../faults.ts'
import type { LogPosition } from '../log-position.ts'

/** How far the log of the shard $1 is in Postgres, by which run, and the identity of the record: one LogOffsetRow. */
export const logOffsetText = 'select epoch, seq, record, run from log_offsets where shard = $1'

/** Every shard that there is, in their order: rows of one number. */
export const shardsText = 'select shard from log_offsets order by shard'

export interface LogOffsetRow {
  readonly epoch: string
  readonly seq: string
  readonly record: string
  /** The run of Redis that was admitted; null: none yet by a version that says so. */
  readonly run: string | null
}

export function offsetPosition({ epoch, seq }: LogOffsetRow): LogPosition {
  return { epoch: Number(epoch), seq: Number(seq) }
}

/**
 * How many shards there are, by the rows of `shardsText`.
 * @throws Fault HC_SCHEMA when one has no row
 */
export function shardCountOf(rows: readonly { readonly shard: number }[]): number {
  const missing = rows.findIndex(({ shard }, place) => shard !== place)
  if (missing !== -1 || rows.length === 0) throw noOffsetRow(Math.max(missing, 0))
  return rows.length
}

/** Somebody has deleted it: without a shard's row nothing is known of its log. */
export function noOffsetRow(shard: number): Fault {
  return new Fault('HC_SCHEMA', `log_offsets has no row for the shard ${shard}`)
}
