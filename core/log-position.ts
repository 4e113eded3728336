import { Fault } from './faults.ts'

/** A place in the log: the id of an entry, `<epoch>-<seq>`. `seq` 0 is the place before the epoch's first entry. */
export interface LogPosition {
  readonly epoch: number
  readonly seq: number
}

/** @throws Fault HC_LOG_MALFORMED when the id is not of the form `<epoch>-<seq>` */
export function parseLogPosition(id: string): LogPosition {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(id)
  if (!match) throw new Fault('HC_LOG_MALFORMED', `not a log position: ${id.slice(0, 64)}`)
  return { epoch: Number(match[1]), seq: Number(match[2]) }
}

export function formatLogPosition({ epoch, seq }: LogPosition): string {
  return `${epoch}-${seq}`
}

/** Negative, zero or positive as `a` stands before, at or after `b`. */
export function compareLogPositions(a: LogPosition, b: LogPosition): number {
  return a.epoch - b.epoch || a.seq - b.seq
}
