import { Fault } from '../faults.ts'
import type { LogPosition } from '../log-position.ts'
import type { Postgres } from './connection.ts'

/** How far the log of a shard is in Postgres. @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard */
export function committedPosition(postgres: Postgres, shard: number): LogPosition {
  const text = 'select epoch, seq from log_offsets where shard = $1'
  const [row] = postgres.query<{ epoch: string; seq: string }>(text, [shard])
  if (row === undefined) throw new Fault('HC_SCHEMA', `log_offsets has no row for the shard ${shard}`)
  return { epoch: Number(row.epoch), seq: Number(row.seq) }
}
