// What has to hold between a log and its record before anything of it is copied.

import { Fault } from '../core/faults.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../core/log-position.ts'
import type { LogHead } from '../core/postgres/log-epochs.ts'
import { missingEntries } from '../core/recovery/verdict.ts'
import type { LogState } from '../core/redis/sale-store.ts'
import { runReplaced } from './move-offset.ts'

/** @throws Fault HC_RUN_REPLACED: another run of Redis than the one of this connection is admitted. */
export function checkAdmitted({ run: admitted }: LogHead, run: string): void {
  if (admitted !== undefined && admitted !== run) throw runReplaced(run, admitted)
}

/** @throws Fault HC_LOG_LOST: Postgres has more than the log. */
export function checkNothingLost({ last }: LogState, position: LogPosition): void {
  if (compareLogPositions(last, position) >= 0) return
  const [end, committed] = [formatLogPosition(last), formatLogPosition(position)]
  throw new Fault('HC_LOG_LOST', `the log ends at ${end}, but Postgres is at ${committed}`)
}

/** @throws Fault HC_LOG_GAP: the log doesn't go on where Postgres is. */
export function checkNothingMissing(state: LogState, { position, begun }: LogHead): void {
  const missing = missingEntries(state, position, begun)
  if (missing <= 0) return
  const [end, committed] = [formatLogPosition(state.last), formatLogPosition(position)]
  throw new Fault('HC_LOG_GAP', `the log ends at ${end}, and ${missing} entries after ${committed} are missing`)
}
