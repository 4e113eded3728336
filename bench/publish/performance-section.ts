import { spread } from '../compare/noise.ts'
import { scenarios } from '../load/scenarios.ts'
import { formatCount, formatMs, formatPercent } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { answered } from '../report/tally.ts'
import { type OriginalResult, originalResults } from './original.ts'
import { machinesOf, results, summaryOf } from './summary.ts'

/** The numbers of docs/PERFORMANCE.md: Markdown from stored reports, and from nothing else. */
export function performanceSection(reports: readonly Report[]): string {
  if (reports.length === 0)
    return 'No report is stored yet: `npm run bench:load -- purchase-heavy balanced`, then `npm run bench:publish -- REPORT...`.\n'
  const shown = results(reports)
  const withOriginal = shown.filter(({ scenario }) => originalResults[scenario] !== undefined)
  const others = shown.filter(({ scenario }) => originalResults[scenario] === undefined)
  return [
    `${machinesOf(shown).join('\n')}\n`,
    ...(withOriginal.length > 0 ? [besideOriginal(withOriginal), caveat] : []),
    ...(others.length > 0 ? [otherScenarios(others)] : []),
    costs(shown),
  ].join('\n')
}

const caveat = `The columns of the original are what its own README says. They are for orientation and no race: its machine, its load and
what it counted as a success are not known. Its percentiles are one, two and three times its average, so they were probably
calculated and not measured. It doesn't say whether its record was complete. Our columns are closed loops at the limit: 128
connections wait for the same two cores, and that wait is the latency. \`steady\` shows the latency at a rate below the limit.
`

function besideOriginal(reports: readonly Report[]): string {
  const columns = reports.flatMap((report) => {
    const original = originalResults[report.scenario] as OriginalResult
    return [
      [`**${report.scenario}**`, ...ownCells(report)],
      [original.name, ...originalCells(original)],
    ]
  })
  return markdownTable([['', ...rowNames], ...columns])
}

const rowNames = [
  'answers a second',
  'of these accepted',
  'holds and purchases a second',
  'p50',
  'p90',
  'p99',
  'p99.9',
  'max',
  'length',
  'requests',
  'the record',
]

function ownCells(report: Report): string[] {
  const { perSecond, acceptedShare, goodputPerSecond, latency, requests, attempts, isAudited } = summaryOf(report)
  const length = `${report.settings.seconds} s${report.runs.length > 1 ? ` × ${report.runs.length}` : ''}`
  return [
    `**${formatCount(perSecond)}**`,
    formatPercent(acceptedShare),
    formatCount(goodputPerSecond),
    ...[latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs].map((us) => `${formatMs(us)} ms`),
    length,
    formatCount(requests),
    isAudited ? `audit passed: ${formatCount(attempts)} attempts, each once` : 'not audited',
  ]
}

function originalCells({ requests, seconds, acceptedShare, p50Ms, p90Ms, p99Ms, maxMs }: OriginalResult): string[] {
  return [
    formatCount(requests / seconds),
    formatPercent(acceptedShare),
    '',
    `${p50Ms} ms`,
    `${p90Ms} ms`,
    `${p99Ms} ms`,
    '',
    `${maxMs} ms`,
    `${seconds} s`,
    formatCount(requests),
    '',
  ]
}

function otherScenarios(reports: readonly Report[]): string {
  const rows = reports.map((report) => {
    const { scenario, settings, runs } = report
    const { perSecond, goodputPerSecond, failedShare, latency } = summaryOf(report)
    const soldOut = runs.flatMap(({ sellOut }) => sellOut?.lastPurchaseSecond ?? [])
    const summary = scenarios.find(({ name }) => name === scenario)?.summary ?? ''
    return [
      `**${scenario}**: ${summary}`,
      `${formatCount(perSecond)}${settings.rate > 0 ? ` of ${formatCount(settings.rate)} due` : ''}`,
      formatCount(goodputPerSecond),
      `${formatMs(latency.p50Us)} ms`,
      `${formatMs(latency.p99Us)} ms`,
      `${formatMs(latency.p999Us)} ms`,
      formatPercent(failedShare, 2),
      soldOut.length === 0 ? '' : `${spread(soldOut).median.toFixed(2)} s`,
    ]
  })
  const head = ['', 'answers/s', 'holds and purchases/s', 'p50', 'p99', 'p99.9', 'failed', 'sold out after']
  const columns = soldOutColumn(rows) ? head : head.slice(0, -1)
  return markdownTable(columns.map((name, at) => [name, ...rows.map((row) => row[at] ?? '')]))
}

function soldOutColumn(rows: readonly (readonly string[])[]): boolean {
  return rows.some((row) => row.at(-1) !== '')
}

const costRoles = ['HTTP workers', 'Redis', 'persister', 'Postgres', 'primary']

function costs(reports: readonly Report[]): string {
  const sentences = reports.flatMap(({ scenario, runs }) => {
    const answers = runs.reduce((total, { tally }) => total + answered(tally), 0)
    const of = (role: string): number =>
      (1e6 * runs.reduce((total, { use }) => total + (use?.[role]?.cpuSeconds ?? 0), 0)) / Math.max(1, answers)
    const all = costRoles.map(of)
    const total = all.reduce((sumSoFar, each) => sumSoFar + each, 0)
    if (total === 0 || originalResults[scenario] === undefined) return []
    const parts = costRoles.map((role, at) => `${role} ${(all[at] ?? 0).toFixed(1)}`)
    return [`CPU an answer costs in ${scenario}: ${total.toFixed(1)} µs (${parts.join(', ')}).`]
  })
  return sentences.length === 0 ? '' : `${sentences.join('\n')}\n`
}

/** @param columns each with its head first */
function markdownTable(columns: readonly (readonly string[])[]): string {
  const rowCount = columns[0]?.length ?? 0
  const rows = Array.from(
    { length: rowCount },
    (_, at) => `| ${columns.map((column) => column[at] ?? '').join(' | ')} |`,
  )
  return `${[rows[0], `|${columns.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|`, ...rows.slice(1)].join('\n')}\n`
}
