import type { HealthRound, RecordDaysCheck, WorkerHealth } from '../../core/ipc.ts'
import type { ShardsCheck } from './health.ts'

/** What `/readyz` answers. */
export interface ServerHealth extends WorkerHealth {
  readonly checks: WorkerHealth['checks'] & { readonly workers: WorkersCheck; readonly record_days?: RecordDaysCheck }
}

/**
 * complete: each that there should be takes connections and sells; missing: one is starting or being replaced, and takes
 * no connections; not_ready, silent: one takes connections and doesn't sell, or doesn't answer; unknown: the primary
 * didn't answer, so nothing is known of the others.
 */
interface WorkersCheck {
  readonly status: 'complete' | 'missing' | 'not_ready' | 'silent' | 'unknown'
  readonly ready?: number
  readonly of?: number
}

const severity = { ready: 0, degraded: 1, not_ready: 2 } as const

/**
 * The health of the server out of that of its HTTP workers. The kernel gives a connection to any worker that takes them,
 * so one of those that doesn't sell makes the server not ready. One that takes none harms nobody: the server is degraded.
 * The other checks are those of the worker that is worst off: of two alike, the one that lacks more shards.
 * @param own of the worker that was probed: only it knows whether the server is just stopping
 * @param round undefined: the primary did not answer in time
 */
export function judgeServer(own: WorkerHealth, round: HealthRound | undefined): ServerHealth {
  const said = round?.accepting.filter((health) => health !== null) ?? []
  const worst = said.reduce((a, b) => (isWorse(b, a) ? b : a), own)
  const workers = workersCheck(round, said)
  // A record that is too old is told of, and no reason to sell less.
  const recordDays = round?.recordDays && { record_days: round.recordDays }
  return { status: statusOf(worst, workers), checks: { ...worst.checks, workers, ...recordDays } }
}

function isWorse(one: WorkerHealth, other: WorkerHealth): boolean {
  const differ = severity[one.status] - severity[other.status]
  return differ === 0 ? shardsLacking(one) > shardsLacking(other) : differ > 0
}

/** With a single shard, which the status tells of, nothing is said of shards. */
function shardsLacking({ checks }: WorkerHealth): number {
  const { ready = 0, of = 0 } = (checks['shards'] ?? {}) as Partial<ShardsCheck>
  return of - ready
}

function workersCheck(round: HealthRound | undefined, said: readonly WorkerHealth[]): WorkersCheck {
  if (round === undefined) return { status: 'unknown' }
  const { accepting } = round
  const ready = said.filter(({ status }) => status !== 'not_ready').length
  // In a reload there is one more for a moment.
  const of = Math.max(round.wanted, accepting.length)
  const counts = { ready, of }
  if (said.length < accepting.length) return { status: 'silent', ...counts }
  if (ready < accepting.length || ready === 0) return { status: 'not_ready', ...counts }
  return { status: ready < of ? 'missing' : 'complete', ...counts }
}

function statusOf(worst: WorkerHealth, workers: WorkersCheck): ServerHealth['status'] {
  if (worst.status === 'not_ready' || workers.status === 'not_ready' || workers.status === 'silent') return 'not_ready'
  return workers.status === 'complete' ? worst.status : 'degraded'
}
