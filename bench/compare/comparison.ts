import { formatMix } from '../load/settings.ts'
import { isValid, type Report } from '../report/report.ts'
import { type Metric, metrics } from './metrics.ts'
import { judge, type Spread, spread, type Verdict } from './noise.ts'

export interface Column {
  readonly title: string
  readonly report: Report
  /** Without the runs that are no results. */
  readonly valid: Report
}

export interface Cell {
  readonly spread: Spread
  /** To the first report; absent in its own column, and when it is 0. */
  readonly ratio?: number
  readonly verdict?: Verdict
}

export interface Row {
  readonly metric: Metric
  /** `undefined`: this report doesn't have it. */
  readonly cells: readonly (Cell | undefined)[]
}

export interface Comparison {
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  /** What else differs than what one wants to compare, and what else one should know. */
  readonly warnings: readonly string[]
}

/** @throws Error when a report has no run that is a result */
export function compare(reports: readonly Report[]): Comparison {
  const titles = distinctTitles(reports)
  const columns = reports.map((report, at): Column => {
    const title = titles[at] ?? ''
    const valid = { ...report, runs: report.runs.filter(isValid) }
    if (valid.runs.length === 0) throw new Error(`${title} has no run that is a result: ${problemsIn(report)}`)
    return { title, report, valid }
  })
  const rows = metrics.flatMap((metric): Row[] => {
    const spreads = columns.map(({ valid }) => spreadOf(metric, valid))
    const cells = spreads.map((one, at) => one && cell(one, at === 0 ? undefined : spreads[0]))
    return cells.some((one) => one !== undefined && one.spread.max > 0) ? [{ metric, cells }] : []
  })
  return { columns, rows, warnings: [...differences(columns), ...cautions(columns)] }
}

function spreadOf(metric: Metric, { runs }: Report): Spread | undefined {
  const values = runs.flatMap((run) => metric.of(run) ?? [])
  return values.length === 0 ? undefined : spread(values)
}

function cell(own: Spread, first: Spread | undefined): Cell {
  if (first === undefined) return { spread: own }
  return {
    spread: own,
    verdict: judge(first, own),
    ...(first.median !== 0 && { ratio: own.median / first.median }),
  }
}

/** As short as they can be while no two are the same. */
function distinctTitles(reports: readonly Report[]): string[] {
  const forms: readonly ((report: Report) => string)[] = [
    ({ label, scenario }) => label ?? scenario,
    ({ label, scenario }) => (label === undefined ? scenario : `${scenario} ${label}`),
    ({ scenario, label, machine }) => `${scenario} ${label ?? machine.commit.slice(0, 7)}`,
    ({ scenario, label, startedAt }) => `${scenario} ${label ?? ''} ${startedAt.slice(0, 19).replace('T', ' ')}`,
  ]
  const fitting = forms.find((form) => new Set(reports.map(form)).size === reports.length)
  return reports.map((report, at) => (fitting ?? ((one: Report) => `${one.scenario} ${at + 1}`))(report))
}

function differences([first, ...others]: readonly Column[]): string[] {
  if (first === undefined) return []
  return others.flatMap(({ title, report }) => {
    const isSameScenario = report.scenario === first.report.scenario
    const [base, own] = [facts(first.report, isSameScenario), facts(report, isSameScenario)]
    const sentences = Object.keys({ ...base, ...own })
      .filter((name) => base[name] !== own[name])
      .map((name) => `${title}: ${name} is ${own[name] ?? 'not given'}, not ${base[name] ?? 'absent'}`)
    return isSameScenario
      ? sentences
      : [`${title}: another scenario than ${first.title}, with settings of its own`, ...sentences]
  })
}

/** All that should be equal, but for the commit, which is what one usually compares. */
function facts({ settings, server, machine }: Report, withLoad: boolean): Record<string, string> {
  const { commit: _commit, loadAverage: _load, versions, ...ofMachine } = machine
  const { seed: _seed, mix, ...ofLoad } = settings
  const load = withLoad ? { ...ofLoad, mix: formatMix(mix) } : {}
  const flat = { ...load, server: server.kind, ...server.env, ...ofMachine, ...versions }
  return Object.fromEntries(Object.entries(flat).map(([name, value]) => [name, String(value)]))
}

function cautions(columns: readonly Column[]): string[] {
  return columns.flatMap(({ title, report, valid }) => {
    const dropped = report.runs.length - valid.runs.length
    const notes = alike(valid.runs.flatMap(({ notes: ofRun }) => ofRun))
    return [
      ...(dropped > 0 ? [`${title}: ${dropped} of ${report.runs.length} runs are no results and are left out`] : []),
      ...notes.map((note) => `${title}: ${note}`),
    ]
  })
}

/** Of sentences that differ in their numbers alone only the first, and how many there are. */
function alike(sentences: readonly string[]): string[] {
  const groups = new Map<string, string[]>()
  for (const sentence of sentences) {
    const form = sentence.replaceAll(/\d+(\.\d+)?/g, '#')
    groups.set(form, [...(groups.get(form) ?? []), sentence])
  }
  return [...groups.values()].map(([first = '', ...others]) =>
    others.length === 0 ? first : `${first} (and like it in ${others.length} more)`,
  )
}

function problemsIn({ runs }: Report): string {
  return runs.flatMap(({ problems }) => problems).join('; ') || 'it has no run at all'
}
