import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import { formatCount } from '../report/format.ts'
import type { CopyCost, Drained, DrainResult } from './drain.ts'

/** Medians of all rounds of one backlog. */
export interface DrainSummary {
  readonly backlog: string
  readonly rows: number
  readonly entries: number
  readonly rowsPerSecond: number
  readonly copyRowsPerSecond: number
  /** Of the copy's rate in the same round: the median, the smallest and the largest. */
  readonly ratio: readonly [number, number, number]
  /** us of CPU a row. */
  readonly persisterUs: number
  readonly postgresUs: number
  readonly copyPostgresUs: number
}

/** The persister also reads the log and makes the rows, and its transactions are small. */
const ratioMin = 0.5

export function drainSummaries({ backlogs }: DrainResult): DrainSummary[] {
  return [...backlogs].map(([backlog, all]) => {
    const middle = (of: (drained: Drained) => number): number => median(all.map(of))
    const ratios = all.map(({ persister, copy }) => copy.seconds / persister.seconds)
    return {
      backlog,
      rows: middle(({ rows }) => rows),
      entries: middle(({ entries }) => entries),
      rowsPerSecond: middle(({ rows, persister }) => rows / persister.seconds),
      copyRowsPerSecond: middle(({ rows, copy }) => rows / copy.seconds),
      ratio: [median(ratios), Math.min(...ratios), Math.max(...ratios)],
      persisterUs: middle(({ persister }) => cpuUsOf(persister, 'persister')),
      postgresUs: middle(({ persister }) => cpuUsOf(persister, 'Postgres')),
      copyPostgresUs: middle(({ copy }) => cpuUsOf(copy, 'Postgres')),
    }
  })
}

function cpuUsOf({ cpuUs }: CopyCost, role: string): number {
  return cpuUs.get(role) ?? 0
}

export function drainProblems({ differing, auditPassed }: DrainResult): string[] {
  return [
    ...differing.map((table) => `drain: what was copied into ${table} is not what the record has`),
    ...(auditPassed ? [] : ['drain: the audit failed']),
  ]
}

export function drainText(result: DrainResult): string {
  const summaries = drainSummaries(result)
  const rows = summaries.map((summary) => [
    summary.backlog,
    formatCount(summary.rows),
    formatCount(summary.rowsPerSecond),
    formatCount(summary.copyRowsPerSecond),
    summary.ratio[0].toFixed(2),
    `${summary.ratio[1].toFixed(2)}-${summary.ratio[2].toFixed(2)}`,
    ...[summary.persisterUs, summary.postgresUs, summary.copyPostgresUs].map((us) => us.toFixed(1)),
  ])
  const head = [
    'backlog',
    'rows',
    'drained/s',
    'copied/s',
    'ratio',
    'range',
    'persister us/row',
    'Postgres',
    'for the copy',
  ]
  const goals = summaries.map(
    ({ backlog, ratio }) =>
      `${ratio[0] >= ratioMin ? 'reached' : 'MISSED '}  ${backlog}: drained at ${ratioMin} of the copy or more: ${ratio[0].toFixed(2)}`,
  )
  return [
    `\na backlog, drained by the persister, and the same rows by ${result.copier} into tables with the same indexes, in turn`,
    '',
    ...textTable(head, rows),
    '',
    ...goals,
    `audit: ${result.auditPassed ? 'passed' : 'FAILED'}`,
    '',
  ].join('\n')
}
