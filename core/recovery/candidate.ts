import { Fault } from '../faults.ts'
import { compareLogPositions, type LogPosition } from '../log-position.ts'
import type { History, LogState, SaleStore } from '../redis/sale-store.ts'
import { noRun, type Queries, readRecordHead } from './record-head.ts'
import { replacedFault, standingOf } from './standing.ts'
import { judge, type RecordHead } from './verdict.ts'

/** A shard, and what may be done with it. */
export interface ShardAtAdmission {
  readonly store: SaleStore
  /** The newest log entry of it that is known to have been answered. */
  readonly seen: LogPosition | undefined
  /** ask: it can only tell of its rights; admit: its run of Redis may decide, if it has lost nothing; rebuild: or if it has. */
  readonly may: 'ask' | 'admit' | 'rebuild'
  /** Its data were exchanged below the same run: it decides in a new epoch, though its run is admitted. */
  readonly isExchanged?: boolean
  /** A person says so: it may decide although another run was admitted in its place. */
  readonly evenReplaced?: boolean
}

/**
 * Where a shard stands:
 * - deciding: it was admitted;
 * - whole, new, lost: it can decide from now on, as it is, as the first epoch of all, or after a rebuild;
 * - undrained: the same after a rebuild, but its log has entries that Postgres lacks, and a persister has to copy them first;
 * - declared_lost: it can't be asked, and a person has said that it comes back by a rebuild;
 * - out: it can't decide, and nobody knows of its rights.
 */
type Place =
  | { readonly place: 'deciding'; readonly redis: LogState }
  | { readonly place: 'whole'; readonly redis: LogState }
  | { readonly place: 'new'; readonly redis: LogState }
  | { readonly place: 'lost'; readonly redis: LogState }
  | { readonly place: 'undrained'; readonly redis: LogState; readonly entries: number }
  | { readonly place: 'declared_lost'; readonly fault: Fault }
  | { readonly place: 'out'; readonly fault: Fault }

/** A shard as an admission has found it. */
export type Candidate = Place & {
  readonly shard: ShardAtAdmission
  readonly head: RecordHead
  /** The run of Redis that the connection leads to; noRun: there is none. */
  readonly run: string
  /** The one that it would get: newer than any that somebody knows of. */
  readonly epoch: number
}

/** Asks Redis and Postgres. No persister commits any more for what is not deciding already. @throws PostgresFault */
export async function lookAt(session: Queries, shard: ShardAtAdmission): Promise<Candidate> {
  const first = await look(session, shard, false)
  const isToBeLocked = shard.may !== 'ask' && first.place !== 'deciding' && first.run !== noRun
  return isToBeLocked ? await look(session, shard, true) : first
}

async function look(session: Queries, shard: ShardAtAdmission, lock: boolean): Promise<Candidate> {
  const { store, seen } = shard
  const run = store.isUp ? store.run : noRun
  const head = await readRecordHead(session, store.shard, { run, lock })
  const answer = await askLog(store, run)
  const place = answer instanceof Fault ? away(answer, head) : placeOf({ shard, head, run, ...answer })
  const last = answer instanceof Fault ? undefined : answer.redis.last
  const known = [head.committed.epoch, last?.epoch ?? 0, seen?.epoch ?? 0, ...head.epochs.map((each) => each.epoch)]
  return { ...place, shard, head, run, epoch: 1 + Math.max(...known) }
}

/** The fault as a value: that of one shard is no reason to do nothing for the others. */
async function askLog(store: SaleStore, run: string): Promise<Pick<Found, 'redis' | 'history'> | Fault> {
  try {
    const [history, redis] = [await store.history(), await store.logState()]
    // What was answered on another connection is not known to be this run's.
    return store.run === run ? { history, redis } : new Fault('HC_REDIS_UNAVAILABLE', 'the connection was lost')
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return error
  }
}

function away(fault: Fault, { run }: RecordHead): Place {
  return { place: run === noRun ? 'declared_lost' : 'out', fault }
}

interface Found {
  readonly shard: ShardAtAdmission
  readonly head: RecordHead
  readonly redis: LogState
  readonly run: string
  readonly history: History
}

function placeOf({ shard, head, redis, run, history }: Found): Place {
  const { may, seen, isExchanged = false, evenReplaced = false } = shard
  const standing = standingOf({ run, history }, redis, head)
  if (standing === 'admitted' && !isExchanged) return { place: 'deciding', redis }
  const verdict = judge({ redis, before: head, after: head, seen })
  const fault = 'fault' in verdict ? verdict.fault : unlooked()
  if (head.run === noRun && may !== 'rebuild') return { place: 'declared_lost', fault }
  if (may === 'ask') return { place: 'out', fault }
  if (standing === 'replaced' && !evenReplaced) return { place: 'out', fault: replacedFault(head) }
  switch (verdict.kind) {
    case 'sound':
      return { place: 'whole', redis }
    case 'new':
      return { place: 'new', redis }
    case 'refused':
      return { place: 'out', fault }
    case 'lost':
      if (may !== 'rebuild') return { place: 'out', fault }
      if (redis.backlogEntries === 0 || compareLogPositions(redis.last, head.committed) <= 0)
        return { place: 'lost', redis }
      return { place: 'undrained', redis, entries: redis.backlogEntries }
  }
}

function unlooked(): Fault {
  return new Fault('HC_RECORD_UNSOUND', 'this run of Redis was not compared with Postgres yet')
}
