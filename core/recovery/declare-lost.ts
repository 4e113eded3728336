import { rebuildLockMsMax } from '../limits.ts'
import { recoveryLock } from '../postgres/advisory-locks.ts'
import { beginEpoch, noRun, type RecordDatabase, readRecordHead } from './record-head.ts'

/**
 * A person says that a shard's Redis is gone: from now on nothing of its log is copied, no run of it is the admitted one, and
 * it comes back only by a rebuild. The others take what is on record for all that it knows of its rights.
 * @returns 'busy': another process admits or rebuilds shards
 * @throws Fault
 */
export async function declareLost(database: RecordDatabase, shard: number): Promise<'declared' | 'busy'> {
  return await database.transaction(async (session) => {
    const text = 'select pg_try_advisory_xact_lock($1, $2) as mine'
    const [lock] = await session.query<{ mine: boolean }>({ text }, recoveryLock)
    if (lock?.mine !== true) return 'busy'
    await session.query({ text: `set local lock_timeout = ${rebuildLockMsMax}` })
    const { run, committed, epochs } = await readRecordHead(session, shard, { lock: true })
    if (run === noRun) return 'declared'
    const epoch = 1 + Math.max(committed.epoch, ...epochs.map((each) => each.epoch))
    await beginEpoch(session, shard, { epoch, run: noRun, after: undefined })
    return 'declared'
  })
}
