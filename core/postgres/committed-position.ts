import type { LogPosition } from '../log-position.ts'
import type { Postgres } from './connection.ts'
import { type LogHead, type LogHeadRow, logHead, logHeadText } from './log-epochs.ts'
import { type LogOffsetRow, logOffsetText, noOffsetRow, offsetPosition } from './log-offset.ts'

/** How far the log of a shard is in Postgres. @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard */
export function committedPosition(postgres: Postgres, shard: number): LogPosition {
  const [row] = postgres.query<LogOffsetRow>(logOffsetText, [shard])
  if (row === undefined) throw noOffsetRow(shard)
  return offsetPosition(row)
}

/** The same, and how the log goes on from there. @throws PostgresFault; Fault HC_SCHEMA when nothing is said of the shard */
export function committedHead(postgres: Postgres, shard: number): LogHead {
  const [row] = postgres.query<LogHeadRow>(logHeadText, [shard])
  if (row === undefined) throw noOffsetRow(shard)
  return logHead(row)
}
