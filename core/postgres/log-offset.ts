import { Fault } from '../faults.ts'
import type { LogPosition } from '../log-position.ts'

/** How far the log of the shard $1 is in Postgres, and the identity of the record: one LogOffsetRow. */
export const logOffsetText = 'select epoch, seq, record from log_offsets where shard = $1'

export interface LogOffsetRow {
  readonly epoch: string
  readonly seq: string
  readonly record: string
}

export function offsetPosition({ epoch, seq }: LogOffsetRow): LogPosition {
  return { epoch: Number(epoch), seq: Number(seq) }
}

/** Somebody has deleted it: without a shard's row nothing is known of its log. */
export function noOffsetRow(shard: number): Fault {
  return new Fault('HC_SCHEMA', `log_offsets has no row for the shard ${shard}`)
}
