import { Fault } from '../faults.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../log-position.ts'
import type { BegunEpoch } from '../postgres/log-epochs.ts'
import type { LogState } from '../redis/sale-store.ts'
import type { ShardStateName } from '../shard-state.ts'
import { entriesBetween, type LogEpoch } from './log-chain.ts'

/** What Postgres says of a shard's log in the record that it keeps. */
export interface RecordHead {
  /** Everything up to here is in Postgres. */
  readonly committed: LogPosition
  /** The identity of the record. */
  readonly id: string
  /** The run of Redis that may decide; undefined: none was admitted yet by a version that says so. */
  readonly run: string | undefined
  /** In their order: those from that of `committed` on, and all that began with the run that was asked for. */
  readonly epochs: readonly LogEpoch[]
}

type RedisLog = Pick<LogState, 'last' | 'backlogEntries' | 'epoch' | 'recordId'>

export interface Evidence {
  readonly redis: RedisLog
  /** Read before and after Redis was: a persister may be at work meanwhile. */
  readonly before: RecordHead
  readonly after: RecordHead
  /** The newest entry that is known to have been answered; undefined: none is. */
  readonly seen: LogPosition | undefined
}

/**
 * sound: Redis has everything that Postgres has, and the entries between them. new: both are empty. lost: Redis has
 * forgotten decisions that were taken, and can be rebuilt from Postgres. refused: Redis and Postgres don't belong together, or
 * Postgres lacks something: an operator has to look.
 */
export type Verdict =
  | { readonly kind: Extract<ShardStateName, 'sound'> | 'new' }
  | { readonly kind: Extract<ShardStateName, 'lost' | 'refused'>; readonly fault: Fault }

/** Whether sales may be decided by what this Redis holds. */
export function judge({ redis, before, after, seen }: Evidence): Verdict {
  const { last, epoch, recordId } = redis
  const isEmpty = epoch === undefined && recordId === undefined && last.epoch === 0
  if (recordId !== undefined && recordId !== after.id) return foreign(`the record ${recordId}, not to ${after.id}`)
  if (isEmpty && before.committed.epoch === 0 && seen === undefined) return { kind: 'new' }

  const missing = missingEntries(redis, after.committed, after.epochs)
  if (entriesBetween(after.committed, last, after.epochs) === 'unknown')
    return unknownEpoch(last.epoch, after.committed)
  if (missing > 0) return gap(missing, after.committed)
  const loss = lossOf(redis, { committed: before.committed, epochs: after.epochs }, seen)
  if (loss === undefined) return { kind: 'sound' }
  // What would be dropped by a rebuild could be somebody else's.
  if (recordId === undefined && !isEmpty) return foreign('no record, and is neither empty nor complete')
  return { kind: 'lost', fault: new Fault('HC_LOG_LOST', `${loss}: it would sell items again`) }
}

function lossOf(
  { last, epoch }: RedisLog,
  { committed, epochs }: Pick<RecordHead, 'committed' | 'epochs'>,
  seen: LogPosition | undefined,
): string | undefined {
  const end = `Redis' log ends at ${formatLogPosition(last)}`
  if (compareLogPositions(last, committed) < 0) {
    return `${end}, but Postgres has it up to ${formatLogPosition(committed)}, so Redis was emptied or is an older copy`
  }
  if (entriesBetween(committed, last, epochs) === 'apart') {
    return `${end} and does not lead over ${formatLogPosition(committed)}, up to where Postgres has it`
  }
  // In an epoch that follows on nothing, what an older one has lost was lost with it.
  const isSeenApart = seen !== undefined && entriesBetween(seen, last, epochs) === 'apart'
  if (seen !== undefined && (isSeenApart || compareLogPositions(last, seen) < 0)) {
    return `${end}, but decisions up to ${formatLogPosition(seen)} were answered, so Redis lacks the newest ones`
  }
  return epoch === undefined ? 'Redis was emptied or fenced off, and not rebuilt since' : undefined
}

/**
 * How many entries Redis has trimmed that are not in Postgres: none when it is not above 0. Entries up to the position that were
 * not trimmed yet only make it smaller.
 * @param epochs those after that of `committed`. Of one that they don't tell the beginning of only its own entries count
 */
export function missingEntries(
  { last, backlogEntries }: Pick<LogState, 'last' | 'backlogEntries'>,
  committed: LogPosition,
  epochs: readonly BegunEpoch[],
): number {
  const expected = entriesBetween(committed, last, epochs)
  if (expected === 'apart') return 0
  return (expected === 'unknown' ? last.seq : expected) - backlogEntries
}

function unknownEpoch(epoch: number, committed: LogPosition): Verdict {
  const what = `Postgres has the log up to ${formatLogPosition(committed)}, and doesn't know how epoch ${epoch} in Redis began`
  const why = 'It is told before one begins, so this is an older copy of the database'
  return { kind: 'refused', fault: new Fault('HC_LOG_GAP', `${what}. ${why}: its record would be incomplete`) }
}

function gap(missing: number, committed: LogPosition): Verdict {
  const what = `Postgres has the log up to ${formatLogPosition(committed)}, and ${missing} later entries are no longer in Redis`
  const why = 'Redis keeps them until they are in Postgres, so this is an older copy of the database'
  return { kind: 'refused', fault: new Fault('HC_LOG_GAP', `${what}. ${why}: its record would be incomplete`) }
}

function foreign(what: string): Verdict {
  const hint = 'Give the server the Redis of this database, or an empty one to rebuild the sales in'
  return { kind: 'refused', fault: new Fault('HC_RECORD_FOREIGN', `this Redis belongs to ${what}. ${hint}`) }
}
