import { Fault } from '../faults.ts'
import type { History, LogState } from '../redis/sale-store.ts'
import { noRun } from './record-head.ts'
import type { RecordHead } from './verdict.ts'

/**
 * How a run of Redis stands by the names that Redis and Postgres have for who may decide:
 * - admitted: both name it, in the same epoch;
 * - replaced: it had begun the epoch that its data are in, and a later one has begun with another run. It is a master that
 *   was cut off, or one that is asked by mistake;
 * - waiting: neither. It is to be compared, and admitted in an epoch of its own. So is a process that had begun the epoch of its
 *   data, was a replica since, and was promoted before it had the epoch that replaced it: what it is now was never replaced.
 */
export type Standing = 'admitted' | 'replaced' | 'waiting'

export function standingOf(
  { run, history }: Asked,
  redis: Pick<LogState, 'epoch' | 'admittedRun' | 'historyAtAdmission'>,
  head: Pick<RecordHead, 'run' | 'epochs'>,
): Standing {
  const { epoch, admittedRun } = redis
  const newest = head.epochs.at(-1)
  if (newest === undefined || epoch === undefined) return 'waiting'
  if (head.run === run) return admittedRun === run && newest.epoch === epoch ? 'admitted' : 'waiting'
  const isOurs = head.epochs.some((each) => each.epoch === epoch && each.run === run)
  if (!isOurs || newest.epoch <= epoch || head.run === noRun) return 'waiting'
  return wasPromotedSince(history, redis) ? 'waiting' : 'replaced'
}

/**
 * A replica that is promoted gets another replication ID, and keeps its master's as the one before. A master that has no replica
 * for long gets another one too (`repl-backlog-ttl`), but then none is before it.
 */
function wasPromotedSince(
  { id, before }: History,
  { historyAtAdmission }: Pick<LogState, 'historyAtAdmission'>,
): boolean {
  return historyAtAdmission !== undefined && id !== historyAtAdmission && before !== undefined
}

/** What a connection leads to. */
export interface Asked {
  readonly run: string
  readonly history: History
}

export function replacedFault({ run, epochs }: Pick<RecordHead, 'run' | 'epochs'>): Fault {
  const what = `another run of Redis (${run}) was admitted in the place of this one, in epoch ${epochs.at(-1)?.epoch}`
  const fix = 'Lead the server to that one. If it is gone for good, `npm run recover` admits this one again'
  return new Fault('HC_RUN_REPLACED', `${what}: a Redis that was replaced can still be reached. ${fix}`)
}
