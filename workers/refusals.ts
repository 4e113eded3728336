import { Fault } from '../core/faults.ts'
import { troubleReasonCharsMax } from '../core/limits.ts'
import { formatLogPosition, type LogPosition } from '../core/log-position.ts'
import { isPassingState, PostgresFault } from '../core/postgres/postgres-fault.ts'
import type { PersisterStateName, PersisterTrouble } from '../core/redis/persister-state.ts'

/** Whether waiting may help. It doesn't where a person has to grant a right, make room, change a table or repair the log. */
export function isPassing(fault: Fault): boolean {
  if (fault.code === 'HC_SCHEMA' || fault.code.startsWith('HC_LOG_')) return false
  if (fault.code !== 'HC_POSTGRES_REFUSED') return true
  return fault instanceof PostgresFault && isPassingState(fault.sqlState)
}

/** What some log entry holds is refused (22: a value, 23: a constraint; terms): other entries may be taken. */
export function isOfEntry(fault: Fault): boolean {
  return fault.code === 'HC_LOG_TERMS' || (fault instanceof PostgresFault && /^2[23]/.test(fault.sqlState ?? ''))
}

/** The same fault of the log entry that stands alone, which its words name. */
export function ofEntry(fault: Fault, position: LogPosition): Fault {
  const what = `the log entry ${formatLogPosition(position)}`
  return fault instanceof PostgresFault ? fault.of(what) : new Fault(fault.code, `${what}: ${fault.message}`)
}

/** Where a persister is that gets nothing into Postgres. */
export type StuckName = Exclude<PersisterStateName, 'active' | 'standby'>

/** Where a persister is after this fault, unless it is about Redis. */
export function stateAfter(fault: Fault): StuckName {
  if (fault.code === 'HC_POSTGRES_LOCKED') return 'locked'
  if (fault.code.startsWith('HC_LOG_')) return 'log_fault'
  return isPassing(fault) ? 'away' : 'refused'
}

/** What may be said of a fault to whoever asks. Names of hosts, accounts and applications stay in the log. */
export function publicTrouble(fault: Fault): PersisterTrouble {
  const reason = publicReason(fault)
  return { fault: fault.code, reason: reason.slice(0, troubleReasonCharsMax) }
}

function publicReason(fault: Fault): string {
  if (fault instanceof PostgresFault) return fault.publicReason
  if (fault.code === 'HC_POSTGRES_LOCKED') return "another session's lock: the log of the server says whose"
  return fault.code.startsWith('HC_LOG_') ? fault.message : ''
}
