import { textTable } from '../../core/text-table.mjs'
import type { Machine } from '../harness/machine.ts'
import { median } from '../harness/median.ts'
import { acceptedPerSecond } from '../overload/experiment.ts'
import { formatBytes, formatCount, formatMs, formatPercent } from '../report/format.ts'
import { timesCapacity } from './demand.ts'
import type { Measured } from './experiment.ts'
import { floodKinds, kindDocs } from './kinds.ts'

const workers = 'HTTP workers'

/** What good buyers keep in the flood of what they had before it. */
function keptShare({ before, during }: Measured): number {
  return acceptedPerSecond(during) / acceptedPerSecond(before)
}

function allSeconds(cpu: Readonly<Record<string, number>>): number {
  return Object.values(cpu).reduce((sum, each) => sum + each, 0)
}

/**
 * us of the HTTP worker a connection, with its request where it has one (of kept ones a request): what good buyers' answers cost in the calm is
 * taken off.
 */
function connectionUs({ kind, before, during, cpuBefore, cpuDuring, acceptedConnections, flood }: Measured): number {
  const answerSeconds = (cpuBefore[workers] ?? 0) / (before.accepted + before.other)
  const own = (cpuDuring[workers] ?? 0) - answerSeconds * (during.accepted + during.other)
  const count = kind === 'kept' ? flood.answers : acceptedConnections || flood.connections
  return (1e6 * own) / Math.max(1, count)
}

/** Medians over the rounds, for people. */
export function resultText(results: readonly Measured[], clients: number, machine: Machine): string {
  const groups = floodKinds.flatMap((kind) =>
    [...new Set(results.map(({ build }) => build))]
      .map((build) => results.filter((each) => each.kind === kind && each.build === build))
      .filter(({ length }) => length > 0),
  )
  const kinds = [...new Set(results.map(({ kind }) => kind))]
  const lines = [
    ...kinds.map((kind) => `${kind}: ${kindDocs[kind]}`),
    '',
    ...textTable(
      ['good buyers', 'before/s', 'in the flood', 'kept', 'least', 'most', 'p99 ms', 'was', 'well after ms', 'audit'],
      groups.map(buyersRow),
    ),
    '',
    ...textTable(
      ['the flood', 'accepted/s', 'refused/s', 'answers/s', '5xx, 4xx', 'p50 ms', 'p99 ms', 'HTTP us each', 'cores'],
      groups.map(floodRow),
    ),
    '',
    ...textTable(['the server in it', 'cores', 'HTTP', 'MiB before', 'after'], groups.map(serverRow)),
    '',
    ...demandLines(results, clients),
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}, all on one machine; load average ${machine.loadAverage} at the start`,
  ]
  return `${lines.join('\n')}\n`
}

function demandLines(results: readonly Measured[], clients: number): string[] {
  return [...new Set(results.map(({ build }) => build))].flatMap((build) => {
    const demands = results.flatMap((each) => (each.build === build ? (each.demand ?? []) : []))
    if (demands.length === 0) return []
    const capacity = formatCount(median(demands.map((each) => each.capacity)))
    const times = formatCount(median(demands.map((each) => timesCapacity(each, clients))))
    const alone = median(demands.map(({ aloneMs }) => aloneMs)).toFixed(1)
    return `${build} alone serves ${capacity}/s of them; ${clients} clients, answered within ${alone} ms as a lone one is, would ask for ${times} times as many`
  })
}

type Group = readonly Measured[]

const nameOf = (group: Group): string => `${group[0]?.kind}, ${group[0]?.build}`
const middle = (group: Group, of: (each: Measured) => number): number => median(group.map(of))

function buyersRow(group: Group): string[] {
  const shares = group.map(keptShare)
  const recovered = group.map(({ recoveredAfterMs = Number.POSITIVE_INFINITY }) => recoveredAfterMs)
  return [
    nameOf(group),
    formatCount(middle(group, ({ before }) => acceptedPerSecond(before))),
    formatCount(middle(group, ({ during }) => acceptedPerSecond(during))),
    ...[median(shares), Math.min(...shares), Math.max(...shares)].map((share) => formatPercent(share)),
    formatMs(middle(group, ({ during }) => during.acceptedFromSent.p99Us)),
    formatMs(middle(group, ({ before }) => before.acceptedFromSent.p99Us)),
    Number.isFinite(median(recovered)) ? String(median(recovered)) : 'not seen',
    group.every(({ audit }) => audit.verdict === 'passed') ? 'passed' : 'NOT PASSED',
  ]
}

function floodRow(group: Group): string[] {
  const perSecond = (of: (each: Measured) => number): string =>
    formatCount(middle(group, (each) => of(each) / each.during.seconds))
  const ms = (of: (each: Measured) => number | undefined): string => {
    const known = group.flatMap((each) => of(each) ?? [])
    return known.length === 0 ? '-' : median(known).toFixed(1)
  }
  return [
    nameOf(group),
    perSecond(({ acceptedConnections }) => acceptedConnections),
    perSecond(({ refusedConnections }) => refusedConnections),
    perSecond(({ flood }) => flood.answers),
    perSecond(({ flood }) => flood.refused),
    ms(({ flood }) => flood.p50Ms),
    ms(({ flood }) => flood.p99Ms),
    middle(group, connectionUs).toFixed(1),
    middle(group, ({ flood }) => flood.cpuSeconds / flood.seconds).toFixed(2),
  ]
}

function serverRow(group: Group): string[] {
  const cores = (of: (cpu: Readonly<Record<string, number>>) => number): string =>
    middle(group, ({ cpuDuring, during }) => of(cpuDuring) / during.seconds).toFixed(2)
  return [
    nameOf(group),
    cores(allSeconds),
    cores((cpu) => cpu[workers] ?? 0),
    formatBytes(middle(group, ({ residentBytes }) => residentBytes[0])),
    formatBytes(middle(group, ({ residentBytes }) => residentBytes[1])),
  ]
}

/** Why the numbers of a run are no result; empty when they are one. */
export function problemsOf({ kind, build, before, during, after, isDrained, audit }: Measured): string[] {
  const problems: string[] = []
  if (!isDrained) problems.push('the log did not drain')
  if (audit.verdict !== 'passed') problems.push(`the audit: ${audit.verdict}`)
  for (const { name, accepted, other, lost } of [before, during, after]) {
    if (accepted === 0) problems.push(`${name}: nothing of the good buyers was accepted`)
    if (other > 0) problems.push(`${name}: ${other} answers of the good buyers were neither 200 nor 503`)
    if (lost > 0) problems.push(`${name}: ${lost} connections of the good buyers broke`)
  }
  return problems.map((problem) => `${build}, ${kind}, ${problem}`)
}
