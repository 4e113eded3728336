import type { Settings } from '../load/settings.ts'
import { growthOf } from './holdings.ts'
import type { AuditResult, OthersUse, Run } from './report.ts'
import { accepted, answered, sum, type Tally, unanswered } from './tally.ts'

/** What a run's result is judged by. */
export interface Evidence
  extends Pick<
    Run,
    | 'seconds'
    | 'interrupted'
    | 'warmup'
    | 'tally'
    | 'tail'
    | 'achievedPerSecond'
    | 'neverSent'
    | 'disturbances'
    | 'holdings'
  > {
  readonly settings: Settings
  /** Whether the server was started for this run on empty data: then its record must hold this run and nothing else. */
  readonly isOwnServer: boolean
  readonly audit: AuditResult | undefined
  readonly drainSeconds: number | undefined
  readonly generatorCpuSeconds: readonly number[]
  /** Since the measurement's start. */
  readonly usedUpSecond: number | undefined
  readonly saleChanges: number
  readonly fileSystem: string | undefined
  readonly others: OthersUse | undefined
  readonly cores: number
}

/** Answers that decide nothing leave no row in the record. */
const undecidedCodes = new Set(['invalid_request', 'route_unknown', 'method_not_allowed'])
/** A generator that used so much of a core was at its limit, or near it. */
const busyShare = 0.9
/** More than this share of the machine used by others: it was not quiet. */
const quietShare = 0.1
/** Less of the offered rate than this was achieved: it did not keep up. */
const keptUpShare = 0.99

/** Why a run is no result, a sentence each; empty when it is one. */
export function problemsOf(evidence: Evidence): string[] {
  const { seconds, warmup, tally, tail, audit } = evidence
  const problems: string[] = []
  const all = [warmup, tally, tail]
  if (seconds <= 0) problems.push('it was stopped before the measurement began')
  if (total(all, accepted) === 0) problems.push('not one request was answered with a 2xx')
  for (const [what, times] of merged(all, 'unexpected')) problems.push(`${what}, ${times} times`)
  for (const { what, succeeded } of evidence.disturbances ?? []) if (!succeeded) problems.push(`the ${what} failed`)
  if (audit?.verdict === 'breached') problems.push(`the audit found breaches: ${audit.breaches?.join('; ')}`)
  if (audit?.verdict === 'failed') problems.push('the audit could not be run')
  if (audit?.verdict === 'incomplete') problems.push('the audit could not check everything')
  return [...problems, ...recordProblems(evidence)]
}

/** Every decided attempt is exactly one row: what the clients were answered must be on record, and nothing else. */
function recordProblems({ isOwnServer, audit, warmup, tally, tail }: Evidence): string[] {
  if (!isOwnServer || audit?.attempts === undefined) return []
  const all = [warmup, tally, tail]
  const undecided = [...merged(all, 'rejected')].reduce(
    (sumSoFar, [code, times]) => sumSoFar + (undecidedCodes.has(code) ? times : 0),
    0,
  )
  const decided = total(all, (one) => accepted(one) + sum(one.rejected)) - undecided
  const unknown = total(all, (one) => sum(one.failed) + sum(one.unexpected) + unanswered(one))
  const { attempts } = audit
  if (attempts < decided) return [`${decided} attempts were answered, but only ${attempts} are on record`]
  if (attempts > decided + unknown)
    return [`${attempts} attempts are on record, but clients know of ${decided + unknown} at most`]
  return []
}

/** What a reader has to know about a run that is a result all the same. */
export function notesOn(evidence: Evidence): string[] {
  const { settings, seconds, interrupted, tally, generatorCpuSeconds, achievedPerSecond, neverSent } = evidence
  const { usedUpSecond, saleChanges, drainSeconds, fileSystem, others, cores } = evidence
  const notes: string[] = []
  const busiest = Math.max(0, ...generatorCpuSeconds) / Math.max(1, seconds)
  if (interrupted) notes.push(`it was stopped after ${seconds.toFixed(1)} of ${settings.seconds} s`)
  if (busiest >= busyShare)
    notes.push(
      `a generator used ${busiest.toFixed(2)} cores: the server may be capable of more; try more --workers on a machine with free cores`,
    )
  if (others !== undefined && others.cores + others.stolenCores > quietShare * cores)
    notes.push(
      `others used ${others.cores.toFixed(2)} of ${cores} cores and the hypervisor took ${others.stolenCores.toFixed(2)}: the machine was not quiet`,
    )
  if (settings.rate > 0 && achievedPerSecond < keptUpShare * settings.rate)
    notes.push(
      `the offered rate was not achieved: ${neverSent} requests were due and not sent by the end, so latencies would have grown further`,
    )
  if (usedUpSecond !== undefined && usedUpSecond >= 0 && usedUpSecond < seconds)
    notes.push(
      `every item had been asked for after ${usedUpSecond.toFixed(1)} s: later checkouts ask for items that are taken`,
    )
  for (const { what, second, seconds: took } of evidence.disturbances ?? [])
    notes.push(`${what} after ${second.toFixed(0)} s, in ${took.toFixed(1)} s`)
  for (const { role, what, share } of growthOf(evidence.holdings ?? []))
    notes.push(`${what} of ${role} grew by ${(100 * share).toFixed(0)} % from the second quarter to the last`)
  if (saleChanges > 0) notes.push(`the sale changed ${saleChanges} times`)
  const failed = sum(tally.failed) + unanswered(tally)
  if (failed > 0)
    notes.push(
      `${failed} requests failed: ${((100 * failed) / Math.max(1, answered(tally) + unanswered(tally))).toFixed(3)} %`,
    )
  if (drainSeconds === undefined) notes.push('the log was not seen drained')
  if (fileSystem === 'tmpfs') notes.push("the server's data was on tmpfs, where an fsync costs nothing: see --data-dir")
  return notes
}

function total(tallies: readonly Tally[], of: (tally: Tally) => number): number {
  return tallies.reduce((sumSoFar, tally) => sumSoFar + of(tally), 0)
}

function merged(tallies: readonly Tally[], part: 'unexpected' | 'rejected'): Map<string, number> {
  const counts = new Map<string, number>()
  for (const tally of tallies)
    for (const [key, times] of Object.entries(tally[part])) counts.set(key, (counts.get(key) ?? 0) + times)
  return counts
}
