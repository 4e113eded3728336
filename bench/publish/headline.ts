import { formatCount, formatMs, formatPercent } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { machinesOf, results, summaryOf } from './summary.ts'

/** The few numbers that README.md shows: Markdown from stored reports, and from nothing else. */
export function headline(reports: readonly Report[]): string {
  const shown = results(reports)
  if (shown.length === 0) return 'No report is stored yet.\n'
  return `${machinesOf(shown).join('\n')}\n\n${shown.map(line).join('\n')}\n`
}

function line(report: Report): string {
  const { scenario, settings } = report
  const { perSecond, acceptedShare, latency, attempts, isAudited } = summaryOf(report)
  const load =
    settings.rate > 0
      ? `at a fixed rate of ${formatCount(settings.rate)}/s`
      : `with ${settings.connections} connections`
  const record = isAudited ? `; ${formatCount(attempts)} attempts on record, each once` : ''
  return (
    `- \`${scenario}\` ${load}: **${formatCount(perSecond)} answers a second**, ${formatPercent(acceptedShare)} accepted, ` +
    `p50 ${formatMs(latency.p50Us)} ms, p99 ${formatMs(latency.p99Us)} ms${record}.`
  )
}
