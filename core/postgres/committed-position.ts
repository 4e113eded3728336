import type { LogPosition } from '../log-position.ts'
import type { Postgres } from './connection.ts'
import { type LogOffsetRow, logOffsetText, noOffsetRow, offsetPosition } from './log-offset.ts'

/** How far the log of a shard is in Postgres. @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard */
export function committedPosition(postgres: Postgres, shard: number): LogPosition {
  const [row] = postgres.query<LogOffsetRow>(logOffsetText, [shard])
  if (row === undefined) throw noOffsetRow(shard)
  return offsetPosition(row)
}
