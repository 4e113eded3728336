import { textTable } from '../../core/text-table.mjs'
import { formatBytes, formatCount, formatMs, formatPercent } from '../report/format.ts'
import { acceptedPerSecond, type OverloadResult, type Plan } from './experiment.ts'
import type { PhaseResult } from './phase-record.ts'
import type { Goal } from './verdict.ts'

/** What it came to, for people. */
export function resultText(
  result: OverloadResult,
  plan: Plan,
  { goals, problems }: { goals: readonly Goal[]; problems: readonly string[] },
): string {
  const { probes, before, overload, after, audit, drainSeconds } = result
  const phases = [...probes, before, overload, after]
  const lines = [
    ...textTable(
      ['phase', 'due/s', 'sent/s', 'accepted/s', '503/s', 'p50 ms', 'p99 ms', 'p99 from due', '503 p99'],
      phases.map(phaseRow),
    ),
    '',
    placement(plan),
    `the generator used ${(overload.generatorCpuSeconds / overload.seconds).toFixed(2)} cores in the overload, the server ` +
      Object.entries(result.serverCores)
        .map(([role, cores]) => `${cores.toFixed(2)} (${role})`)
        .join(', '),
    ...(result.othersCores === undefined ? [] : [`others used ${result.othersCores.toFixed(2)} cores meanwhile`]),
    `of what was due in the overload ${formatPercent(overload.sent / overload.due)} was sent: no connection was free for the rest`,
    '',
    ...textTable(['resident memory', 'start', 'middle', 'end'], memoryRows(result)),
    '',
    `log:   drained ${drainSeconds === undefined ? 'not' : `${drainSeconds.toFixed(1)} s`} after the load`,
    `audit: ${audit.verdict}${audit.attempts === undefined ? '' : `, ${formatCount(audit.attempts)} attempts on record`}`,
    '',
    ...goals.map(({ goal, found, isReached }) => `${isReached ? 'reached' : 'MISSED '}  ${goal}: ${found}`),
    ...problems.map((problem) => `INVALID: ${problem}`),
  ]
  return `${lines.join('\n')}\n`
}

function phaseRow(phase: PhaseResult): string[] {
  const perSecond = (count: number): string => formatCount(count / phase.seconds)
  const { acceptedFromSent, acceptedFromDue, shedFromSent } = phase
  return [
    phase.name,
    phase.rate === 0 ? '-' : perSecond(phase.due),
    perSecond(phase.sent),
    formatCount(acceptedPerSecond(phase)),
    perSecond(phase.shed),
    formatMs(acceptedFromSent.p50Us),
    formatMs(acceptedFromSent.p99Us),
    formatMs(acceptedFromDue.p99Us),
    phase.shed === 0 ? '-' : formatMs(shedFromSent.p99Us),
  ]
}

function placement({ pinning, connections, workers }: Plan): string {
  const where =
    pinning === undefined
      ? 'server and generator shared all cores'
      : `the server with all its processes on core ${pinning.server}, the generator on core ${pinning.generator}`
  return `${where}; ${connections} connections, ${workers === 0 ? 'one HTTP worker a core' : `${workers} HTTP workers`}`
}

function memoryRows({ residentBytes }: OverloadResult): string[][] {
  const roles = Object.keys(residentBytes[0] ?? {})
  return roles.map((role) => [role, ...residentBytes.map((bytes) => formatBytes(bytes[role] ?? 0))])
}
