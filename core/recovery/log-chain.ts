import { compareLogPositions, type LogPosition } from '../log-position.ts'
import type { BegunEpoch } from '../postgres/log-epochs.ts'

export interface LogEpoch extends BegunEpoch {
  /** The run of Redis that it began with. */
  readonly run: string
}

/**
 * How many entries of the log stand between two positions, without the first and with the second; 0 when the second is not
 * beyond the first. Exact also where epochs have begun between them, because Postgres knows where each one before ended.
 * - unknown: Postgres does not know how the later position's epoch follows on the earlier's;
 * - apart: the log has turned off before it came to the earlier position, which it doesn't have.
 * @param epochs all that Postgres knows of, from the earlier position's on
 */
export function entriesBetween(
  earlier: LogPosition,
  later: LogPosition,
  epochs: readonly BegunEpoch[],
): number | 'unknown' | 'apart' {
  if (compareLogPositions(later, earlier) <= 0) return 0
  let entries = 0
  let end = later
  while (end.epoch > earlier.epoch) {
    entries += end.seq
    const begun = epochs.find(({ epoch }) => epoch === end.epoch)
    // A version before didn't say how a new record's first epoch began. Where nothing is there is nothing to miss.
    const after = begun === undefined && earlier.epoch === 0 ? earlier : begun?.after
    if (after === undefined) return 'unknown'
    end = after
  }
  if (end.epoch < earlier.epoch || end.seq < earlier.seq) return 'apart'
  return entries + end.seq - earlier.seq
}

/**
 * Where the log of Redis ends, as the epoch that begins next has to say it: an epoch without entries has no place of its own
 * in the chain, unless Postgres' offset stands at its beginning.
 */
export function endOfLog(
  last: LogPosition,
  { committed, epochs }: { readonly committed: LogPosition; readonly epochs: readonly LogEpoch[] },
): LogPosition {
  if (last.seq > 0 || last.epoch <= committed.epoch) return last
  return epochs.find(({ epoch }) => epoch === last.epoch)?.after ?? committed
}
