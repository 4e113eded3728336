import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import type { Measured, Series } from './rounds.ts'

/** Medians of all rounds of one server. */
export interface Summary {
  readonly answersPerSecond: number
  /** Of the floor's rate in the same round: the median, the smallest and the largest. */
  readonly rateShare: readonly [number, number, number]
  /** us an answer, of all its processes, and by role. */
  readonly cpuUs: number
  readonly cpuUsByRole: Readonly<Record<string, number>>
  /** To the floor's CPU an answer in the same round. */
  readonly cpuTimes: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly meanBatch: number
  readonly fsyncsPerAnswer: number
  readonly refusedShare: number
  readonly broken: number
  /** us of the generator's CPU an answer. */
  readonly generatorUs: number
  readonly auditPassed?: boolean
}

export function summaries({ loads, audits }: Series): Record<string, Summary> {
  const floor = loads.get('floor') ?? []
  const entries = [...loads].map(([name, own]): [string, Summary] => [name, summaryOf(own, floor, audits.get(name))])
  return Object.fromEntries(entries)
}

function summaryOf(own: readonly Measured[], floor: readonly Measured[], auditPassed: boolean | undefined): Summary {
  const middle = (of: (load: Measured) => number): number => median(own.map(of))
  const sum = (of: (load: Measured) => number): number => own.reduce((total, load) => total + of(load), 0)
  const toFloor = (of: (load: Measured) => number): number[] =>
    own.map((load, round) => of(load) / of(floor[round] as Measured))
  const rates = toFloor((load) => load.answersPerSecond)
  const roles = [...new Set(own.flatMap((load) => [...load.cpuUs.keys()]))]
  return {
    answersPerSecond: middle((load) => load.answersPerSecond),
    rateShare: [median(rates), Math.min(...rates), Math.max(...rates)],
    cpuUs: middle(allCpuUs),
    cpuUsByRole: Object.fromEntries(roles.map((role) => [role, middle((load) => load.cpuUs.get(role) ?? 0)])),
    cpuTimes: median(toFloor(allCpuUs)),
    p50Ms: middle((load) => load.p50Ms),
    p99Ms: middle((load) => load.p99Ms),
    meanBatch: middle((load) => load.meanBatch),
    fsyncsPerAnswer: middle((load) => load.fsyncsPerAnswer),
    refusedShare:
      sum((load) => load.refused) /
      Math.max(
        1,
        sum((load) => load.answers),
      ),
    broken: sum((load) => load.broken),
    generatorUs: middle((load) => (load.cpuSeconds * 1e6) / load.answers),
    ...(auditPassed === undefined ? {} : { auditPassed }),
  }
}

function allCpuUs({ cpuUs }: Measured): number {
  return [...cpuUs.values()].reduce((total, us) => total + us, 0)
}

/** The CPU columns: what an answer costs, in the order in which a request meets them. */
const roles = ['HTTP', 'Redis', 'persister', 'Postgres', 'primary']

export function seriesText(series: Series): string {
  const rows = Object.entries(summaries(series))
  const [of2, of1] = [(value: number) => value.toFixed(2), (value: number) => value.toFixed(1)]
  const rate = rows.map(([name, { rateShare, ...each }]) => [
    name,
    String(Math.round(each.answersPerSecond)),
    of2(rateShare[0]),
    `${of2(rateShare[1])}-${of2(rateShare[2])}`,
    of1(each.p50Ms),
    of1(each.p99Ms),
    of1(each.meanBatch),
    each.fsyncsPerAnswer.toFixed(3),
    of1(each.generatorUs),
    auditWord(each.auditPassed),
  ])
  const cpu = rows.map(([name, { cpuUs, cpuTimes, cpuUsByRole }]) => [
    name,
    of1(cpuUs),
    of2(cpuTimes),
    ...roles.map((role) => (role in cpuUsByRole ? of1(cpuUsByRole[role] as number) : '')),
  ])
  const rateHead = [
    '',
    'answers/s',
    'of floor',
    'range',
    'p50 ms',
    'p99 ms',
    'batch',
    'fsyncs/answer',
    'wrk us',
    'audit',
  ]
  const tables = [textTable(rateHead, rate), textTable(['CPU us an answer', 'all', 'x floor', ...roles], cpu)]
  return `\n${series.connections} connections\n${tables.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function auditWord(passed: boolean | undefined): string {
  if (passed === undefined) return ''
  return passed ? 'passed' : 'FAILED'
}
