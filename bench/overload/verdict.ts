import { acceptedPerSecond, type OverloadResult, type Plan } from './experiment.ts'

export interface Goal {
  readonly goal: string
  readonly found: string
  readonly isReached: boolean
}

const goodputShareMin = 0.8
const recoveryMsMax = 1_000
/** More than this, and the numbers say more of the others than of the server. */
const othersCoresMax = 0.2
/** Of what the HTTP workers had in the middle of the overload; a heap grows and is collected in between. */
const growthMax = 1.25

/** What an overload must not do, and whether it did. */
export function goalsOf(result: OverloadResult, plan: Plan): Goal[] {
  const { peak, overload, residentBytes, recoveredAfterMs } = result
  const share = acceptedPerSecond(overload) / acceptedPerSecond(peak)
  const p99Ms = overload.acceptedFromSent.p99Us / 1_000
  const [, middle = 0, end = 0] = residentBytes.map((bytes) => bytes['HTTP workers'] ?? 0)
  return [
    {
      goal: `goodput at least ${goodputShareMin * 100} % of its peak`,
      found: `${(share * 100).toFixed(1)} %`,
      isReached: share >= goodputShareMin,
    },
    {
      goal: `p99 of the accepted, from their sending, within the deadline of ${plan.deadlineMs} ms`,
      found: `${p99Ms.toFixed(1)} ms`,
      isReached: p99Ms <= plan.deadlineMs,
    },
    {
      goal: 'memory of the HTTP workers flat from the middle of the overload to its end',
      found: `${((end / middle - 1) * 100).toFixed(0)} %`,
      isReached: end <= middle * growthMax,
    },
    {
      goal: 'well again within a second',
      found: recoveredAfterMs === undefined ? 'not seen' : `${recoveredAfterMs} ms`,
      isReached: recoveredAfterMs !== undefined && recoveredAfterMs <= recoveryMsMax,
    },
  ]
}

/** Why the numbers are no result; empty when they are one. */
export function problemsOf(result: OverloadResult, { isSmoke }: Plan): string[] {
  const { overload, probes, before, after, isUsedUp, audit, othersCores = 0 } = result
  const problems: string[] = []
  if (!isSmoke && othersCores > othersCoresMax)
    problems.push(`others used ${othersCores.toFixed(2)} cores in the overload`)
  if (audit.verdict !== 'passed') problems.push(`the audit: ${audit.verdict}`)
  if (isUsedUp) problems.push('the items were used up')
  for (const { name, accepted, other, lost } of [...probes, before, overload, after]) {
    if (accepted === 0) problems.push(`${name}: nothing was accepted`)
    if (other > 0) problems.push(`${name}: ${other} answers that were neither 200 nor 503`)
    if (lost > 0) problems.push(`${name}: ${lost} connections broke`)
  }
  return problems
}
