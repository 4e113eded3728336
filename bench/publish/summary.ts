import { spread } from '../compare/noise.ts'
import { type LatencySummary, mergeHistograms, summarize } from '../report/latencies.ts'
import { isValid, type Report, type Run } from '../report/report.ts'
import { accepted, answered, sum, unanswered } from '../report/tally.ts'

/** What is published of a report: medians over its runs, totals where they say so. */
export interface Summary {
  readonly perSecond: number
  readonly goodputPerSecond: number
  /** Of all runs. */
  readonly requests: number
  readonly acceptedShare: number
  readonly failedShare: number
  /** Of both operations, over all runs. */
  readonly latency: LatencySummary
  /** Attempts that the audits found on record, of all runs. */
  readonly attempts: number
  readonly isAudited: boolean
}

/** The reports without their runs that are no result, and none that has no other. */
export function results(reports: readonly Report[]): Report[] {
  return reports
    .map((report) => ({ ...report, runs: report.runs.filter(isValid) }))
    .filter(({ runs }) => runs.length > 0)
}

export function summaryOf({ runs }: Report): Summary {
  const median = (of: (run: Run) => number): number => spread(runs.map(of)).median
  const histograms = runs.flatMap(({ latency }) => [latency.checkout.histogram, latency.purchase.histogram])
  return {
    perSecond: median(({ achievedPerSecond }) => achievedPerSecond),
    goodputPerSecond: median(({ tally, seconds }) => (tally.holds + tally.purchases) / seconds),
    requests: runs.reduce((total, run) => total + requestsOf(run), 0),
    acceptedShare: median((run) => accepted(run.tally) / requestsOf(run)),
    failedShare: median((run) => (sum(run.tally.failed) + unanswered(run.tally)) / requestsOf(run)),
    latency: summarize(mergeHistograms(histograms)),
    attempts: runs.reduce((total, { audit }) => total + (audit?.attempts ?? 0), 0),
    isAudited: runs.every(({ audit }) => audit?.verdict === 'passed'),
  }
}

function requestsOf({ tally }: Run): number {
  return Math.max(1, answered(tally) + unanswered(tally))
}

/** The machines that the reports are from, and when: one line each, equal lines once. */
export function machinesOf(reports: readonly Report[]): string[] {
  const each = reports.map(({ machine, server, startedAt }) => {
    const { cpu, cores, memoryGiB, node, versions, fileSystem } = machine
    const redis = versions['redis-server'] === undefined ? 'Redis' : `Redis ${versions['redis-server']}`
    const shared = server.sharesMachine === true ? ', shared with the load generator' : ''
    return (
      `On ${cores} cores (${cpu})${shared}, ${memoryGiB} GiB, Node.js ${node.slice(1)}, ${redis} with \`appendfsync always\` on ` +
      `${fileSystem}, ${startedAt.slice(0, 10)}:`
    )
  })
  return [...new Set(each)]
}
