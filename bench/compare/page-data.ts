import { mergeHistograms, percentileCurve } from '../report/latencies.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import type { Report, Timeline } from '../report/report.ts'
import type { Comparison } from './comparison.ts'
import { spread } from './noise.ts'

/** A number for each second: of the repeats the median, least and most. */
interface Band {
  readonly median: readonly number[]
  readonly min: readonly number[]
  readonly max: readonly number[]
}

interface Curve {
  readonly nines: readonly number[]
  readonly ms: readonly number[]
}

/** What the page's script draws from: page.browser.mjs. */
export interface PageData {
  readonly reports: readonly {
    readonly title: string
    readonly runs: number
    readonly curves: Readonly<Record<LoadOperation, Curve>>
    readonly timeline: { readonly seconds: number; readonly answered: Band; readonly good: Band; readonly p99Ms: Band }
  }[]
}

export function pageData({ columns }: Comparison): PageData {
  return {
    reports: columns.map(({ title, valid }) => ({
      title,
      runs: valid.runs.length,
      curves: { checkout: curve(valid, 'checkout'), purchase: curve(valid, 'purchase') },
      timeline: {
        seconds: Math.max(...valid.runs.map(({ timeline }) => timeline.answered.length)),
        answered: band(valid, (of, at) => of.answered[at] ?? 0),
        good: band(valid, (of, at) => (of.holds[at] ?? 0) + (of.purchases[at] ?? 0)),
        p99Ms: band(valid, (of, at) => (of.p99Us[at] ?? 0) / 1_000),
      },
    })),
  }
}

/** Of all repeats together. */
function curve({ runs }: Report, operation: LoadOperation): Curve {
  const { nines, us } = percentileCurve(mergeHistograms(runs.map(({ latency }) => latency[operation].histogram)))
  return { nines, ms: us.map((value) => value / 1_000) }
}

function band({ runs }: Report, of: (timeline: Timeline, second: number) => number): Band {
  const seconds = Math.max(...runs.map(({ timeline }) => timeline.answered.length))
  const spreads = Array.from({ length: seconds }, (_, second) =>
    spread(
      runs.filter(({ timeline }) => second < timeline.answered.length).map(({ timeline }) => of(timeline, second)),
    ),
  )
  return {
    median: spreads.map(({ median }) => median),
    min: spreads.map(({ min }) => min),
    max: spreads.map(({ max }) => max),
  }
}
