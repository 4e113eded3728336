import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import { formatCount, formatPercent } from '../report/format.ts'
import { type GrowthLoad, type LoadKind, type LoadPlan, type LoadResult, loadKinds } from './loads.ts'

/** Medians of all rounds of one sale. */
export interface LoadSummary {
  readonly kind: string
  readonly sale: string
  readonly answers: number
  readonly answersPerSecond: number
  /** Of the first sale's rate in the same round: the median, the smallest and the largest. */
  readonly rateRatio: readonly [number, number, number]
  /** us an answer, of all its processes, and by role. */
  readonly cpuUs: number
  readonly cpuUsByRole: Readonly<Record<string, number>>
  /** Of the first sale's CPU an answer in the same round: the median. */
  readonly cpuRatio: number
  readonly meanBatch: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly generatorUs: number
  /** Outcome -> share of all answers. */
  readonly decided: Readonly<Record<string, number>>
  readonly broken: number
}

/** A share of the answers that was decided otherwise than asked for is another load. */
const strayShareMax = 0.02
/** Growth may cost a tenth of the throughput. */
const rateRatioMin = 0.9

const roles = ['HTTP', 'Redis', 'persister', 'Postgres', 'primary']

export function loadSummaries({ loads }: LoadResult): LoadSummary[] {
  return [...loads].flatMap(([kind, bySale]) => {
    const base = [...bySale.values()][0] ?? []
    return [...bySale].map(([sale, own]) => ({ kind, sale, ...summaryOf(own, base) }))
  })
}

function summaryOf(own: readonly GrowthLoad[], base: readonly GrowthLoad[]): Omit<LoadSummary, 'kind' | 'sale'> {
  const middle = (of: (load: GrowthLoad) => number): number => median(own.map(of))
  const toBase = (of: (load: GrowthLoad) => number): number[] =>
    own.map((load, round) => of(load) / of(base[round] as GrowthLoad))
  const rates = toBase(({ answersPerSecond }) => answersPerSecond)
  const used = new Set(own.flatMap(({ cpuUs }) => [...cpuUs.keys()]))
  const answers = own.reduce((sum, load) => sum + load.answers, 0)
  const decided = new Map<string, number>()
  for (const load of own)
    for (const [outcome, share] of load.decided)
      decided.set(outcome, (decided.get(outcome) ?? 0) + (share * load.answers) / answers)
  return {
    answers,
    answersPerSecond: middle(({ answersPerSecond }) => answersPerSecond),
    rateRatio: [median(rates), Math.min(...rates), Math.max(...rates)],
    cpuUs: middle(allCpuUs),
    cpuUsByRole: Object.fromEntries([...used].map((role) => [role, middle(({ cpuUs }) => cpuUs.get(role) ?? 0)])),
    cpuRatio: median(toBase(allCpuUs)),
    meanBatch: middle(({ meanBatch }) => meanBatch),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    generatorUs: middle(({ cpuSeconds, answers: count }) => (cpuSeconds * 1e6) / count),
    decided: Object.fromEntries([...decided].toSorted((a, b) => b[1] - a[1])),
    broken: own.reduce((sum, { broken }) => sum + broken, 0),
  }
}

function allCpuUs({ cpuUs }: GrowthLoad): number {
  return [...cpuUs.values()].reduce((sum, us) => sum + us, 0)
}

/** Why the numbers are no result. */
export function loadProblems({ rounds, connections }: LoadPlan, result: LoadResult): string[] {
  const stray = loadSummaries(result).flatMap((summary) => {
    const kind = loadKinds.find(({ name }) => name === summary.kind) as LoadKind
    // Each connection may have held an item at the end that it had no time to give back.
    const shareMax = strayShareMax + (rounds * connections) / summary.answers
    const wrong = Object.entries(kind.expected).some(
      ([outcome, share]) => !(Math.abs((summary.decided[outcome] ?? 0) - share) <= shareMax),
    )
    if (!wrong && summary.broken === 0) return []
    const broken = summary.broken === 0 ? '' : `, ${summary.broken} broken`
    return [`${kind.name}, ${summary.sale}: ${decidedText(summary)}${broken}`]
  })
  const failed = [...result.audits].filter(([, passed]) => !passed)
  return [...stray, ...failed.map(([sale]) => `${sale}: the audit failed`)]
}

function decidedText({ decided }: LoadSummary): string {
  const shown = Object.entries(decided).filter(([, share]) => share >= 0.001)
  return shown.map(([outcome, share]) => `${outcome} ${formatPercent(share)}`).join(', ')
}

export function loadText(title: string, plan: LoadPlan, result: LoadResult): string {
  const summaries = loadSummaries(result)
  const lines = loadKinds.flatMap(({ name }) => {
    const rows = summaries.filter(({ kind }) => kind === name).map(rowOf)
    const head = ['', 'answers/s', 'ratio', 'range', 'CPU us', 'ratio', ...roles, 'batch', 'p50 ms', 'p99 ms', 'wrk us']
    return ['', name, ...textTable([...head, 'decided'], rows, { left: [0, head.length] })]
  })
  const { rateRatio, kind, sale } = summaries.reduce((a, b) => (b.rateRatio[0] < a.rateRatio[0] ? b : a))
  const goal = `the rate keeps within ${formatPercent(1 - rateRatioMin, 0)}: ${rateRatio[0].toFixed(2)} at least (${kind}, ${sale})`
  const { rounds, seconds, connections } = plan
  return [
    `\n${title}: ${connections} connections, ${rounds} x ${seconds} s each in turn, ratios within a round to the first`,
    ...lines,
    '',
    `${rateRatio[0] >= rateRatioMin ? 'reached' : 'MISSED '}  ${goal}`,
    `audits: ${[...result.audits].map(([name, passed]) => `${name} ${passed ? 'passed' : 'FAILED'}`).join(', ')}`,
    '',
  ].join('\n')
}

function rowOf(summary: LoadSummary): string[] {
  const { sale, answersPerSecond, rateRatio, cpuUs, cpuRatio, cpuUsByRole, meanBatch, p50Ms, p99Ms } = summary
  const [median2, least, most] = rateRatio.map((ratio) => ratio.toFixed(2))
  return [
    sale,
    formatCount(answersPerSecond),
    median2 as string,
    `${least}-${most}`,
    cpuUs.toFixed(1),
    cpuRatio.toFixed(2),
    ...roles.map((role) => (cpuUsByRole[role] ?? 0).toFixed(1)),
    ...[meanBatch, p50Ms, p99Ms, summary.generatorUs].map((value) => value.toFixed(1)),
    decidedText(summary),
  ]
}
