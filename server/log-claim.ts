import { Fault } from '../core/faults.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../core/log-position.ts'
import type { LogState, SaleStore } from '../core/redis/sale-store.ts'

/** The epoch of the first log that a pair of Redis and Postgres ever has. */
const firstEpoch = 1

/**
 * Checks that this Redis and this Postgres are two halves of one record, and sets the log's epoch if Redis is new.
 * @param committed what Postgres says it has; read twice, around the look at Redis, because others may be draining
 * @returns the epoch in force
 * @throws Fault HC_LOG_LOST | HC_LOG_GAP when they are not; HC_REDIS_UNAVAILABLE and what `committed` throws
 */
export async function claimLog(
  store: Pick<SaleStore, 'logState' | 'claimEpoch'>,
  committed: () => LogPosition,
): Promise<number> {
  const before = committed()
  const state = await store.logState()
  assertLogComplete(state, { before, after: committed() })
  return await store.claimEpoch(firstEpoch)
}

/**
 * Sales are decided by what Redis holds. A Redis that was emptied, or is an older copy, has forgotten purchases that
 * were acknowledged, and would sell those items again; a Redis that trimmed entries which this Postgres does not have
 * belongs to another database.
 * @param committed `before`: read before the state of the log; `after`: read after it
 * @throws Fault HC_LOG_LOST | HC_LOG_GAP
 */
export function assertLogComplete(
  { last, backlogEntries }: Pick<LogState, 'last' | 'backlogEntries'>,
  committed: { readonly before: LogPosition; readonly after: LogPosition },
): void {
  if (compareLogPositions(last, committed.before) < 0) {
    throw new Fault(
      'HC_LOG_LOST',
      `Redis' log ends at ${formatLogPosition(last)}, but Postgres has it up to ${formatLogPosition(committed.before)}: ` +
        'this Redis was emptied, or is an older copy, or not the one that belongs to this database. It has forgotten ' +
        'purchases and would sell those items again, so the server does not start. Restore the data of Redis, or let ' +
        'the server have a Redis and a database that belong together',
    )
  }
  const sameEpoch = last.epoch === committed.after.epoch
  const missing = last.seq - backlogEntries - (sameEpoch ? committed.after.seq : 0)
  if (missing > 0) {
    throw new Fault(
      'HC_LOG_GAP',
      `Postgres has the log up to ${formatLogPosition(committed.after)}, and the ${missing} entries that follow are no ` +
        'longer in Redis, which keeps them until they are in Postgres: this is not the database that belongs to this ' +
        'Redis, or an older copy of it. Its record would be incomplete, so the server does not start',
    )
  }
}
