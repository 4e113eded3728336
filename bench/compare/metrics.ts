import { formatCount } from '../report/format.ts'
import type { LatencySummary } from '../report/latencies.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import type { Run } from '../report/report.ts'
import { ratesOf } from '../report/sell-out.ts'
import { answered, sum, unanswered } from '../report/tally.ts'

export interface Metric {
  readonly name: string
  readonly unit: string
  /** neither: that it differs is news, but neither good nor bad. */
  readonly better: 'higher' | 'lower' | 'neither'
  /** `undefined`: this run does not have it. */
  readonly of: (run: Run) => number | undefined
  readonly format: (value: number) => string
}

const threeDigits = (value: number): string =>
  value >= 100 ? formatCount(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

function rate(name: string, of: (run: Run) => number): Metric {
  return { name, unit: '/s', better: 'higher', of: (run) => of(run) / run.seconds, format: formatCount }
}

function latency(operation: LoadOperation, name: string, of: (summary: LatencySummary) => number): Metric {
  return {
    name: `${operation} ${name}`,
    unit: 'ms',
    better: 'lower',
    of: ({ latency: latencies }) => (latencies[operation].count === 0 ? undefined : of(latencies[operation]) / 1_000),
    format: threeDigits,
  }
}

/** CPU a request costs: what is comparable between runs of different throughput. */
function cpu(name: string, seconds: (run: Run) => number | undefined): Metric {
  return {
    name: `CPU, ${name}`,
    unit: 'µs/answer',
    better: 'lower',
    of: (run) => {
      const used = seconds(run)
      return used === undefined ? undefined : (1e6 * used) / Math.max(1, answered(run.tally))
    },
    format: threeDigits,
  }
}

function ofRole(role: string): Metric {
  return cpu(role, ({ use }) => use?.[role]?.cpuSeconds)
}

function memory(role: string): Metric {
  return {
    name: `memory, ${role}`,
    unit: 'MiB',
    better: 'lower',
    of: ({ use }) => (use?.[role] === undefined ? undefined : use[role].peakBytes / 2 ** 20),
    format: formatCount,
  }
}

const operations = ['checkout', 'purchase'] as const

/** What is compared, in the order in which it is shown. */
export const metrics: readonly Metric[] = [
  rate('answers', ({ tally }) => answered(tally)),
  rate('goodput', ({ tally }) => tally.holds + tally.purchases),
  rate('holds', ({ tally }) => tally.holds),
  rate('purchases', ({ tally }) => tally.purchases),
  { ...rate('rejections', ({ tally }) => sum(tally.rejected)), better: 'neither' },
  {
    name: 'failed',
    unit: '%',
    better: 'lower',
    of: ({ tally }) => {
      const failed = sum(tally.failed) + unanswered(tally)
      return (100 * failed) / Math.max(1, answered(tally) + unanswered(tally))
    },
    format: (value) => value.toFixed(3),
  },
  ...operations.flatMap((operation) => [
    latency(operation, 'p50', ({ p50Us }) => p50Us),
    latency(operation, 'p90', ({ p90Us }) => p90Us),
    latency(operation, 'p99', ({ p99Us }) => p99Us),
    latency(operation, 'p99.9', ({ p999Us }) => p999Us),
    latency(operation, 'max', ({ maxUs }) => maxUs),
  ]),
  cpu('server', ({ use }) => use && Object.values(use).reduce((total, { cpuSeconds }) => total + cpuSeconds, 0)),
  ofRole('HTTP workers'),
  ofRole('Redis'),
  ofRole('persister'),
  ofRole('Postgres'),
  cpu('load generator', ({ generator }) => generator.cpuSeconds.reduce((total, each) => total + each, 0)),
  memory('HTTP workers'),
  memory('Redis'),
  memory('persister'),
  {
    name: 'sold out after',
    unit: 's',
    better: 'lower',
    of: ({ sellOut }) => sellOut?.lastPurchaseSecond,
    format: threeDigits,
  },
  {
    name: "selling, of a bare handler's rate",
    unit: '',
    better: 'higher',
    of: ({ sellOut }) => sellOut?.floor && ratesOf(sellOut).sellingPerSecond / sellOut.floor.sellingPerSecond,
    format: threeDigits,
  },
  { name: 'log lag at the end', unit: 's', better: 'lower', of: ({ log }) => log?.lagSeconds, format: threeDigits },
  { name: 'log drained after', unit: 's', better: 'lower', of: ({ log }) => log?.drainSeconds, format: threeDigits },
]
