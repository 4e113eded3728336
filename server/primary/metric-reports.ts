/**
 * Reports are what prom-client's `registry.getMetricsAsJSON()` gives, one entry a metric. Merging several reports into
 * one is prom-client's job (`AggregatorRegistry.aggregate`); here is what it can't do: keep what must outlive its
 * process, and what must outlive a scrape.
 */

export interface MetricValue {
  value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** For histograms: `<name>_bucket`, `<name>_sum` or `<name>_count`. */
  readonly metricName?: string
}

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  readonly values: readonly MetricValue[]
}

export type Report = readonly Metric[]

/** Counters and histograms only grow: what a process has counted stays counted after its end. */
function isCumulative({ type }: Metric): boolean {
  return type === 'counter' || type === 'histogram'
}

export function cumulativePart(report: Report): Report {
  return report.filter(isCumulative)
}

/** A power of two: sums of its multiples are exact, up to 2^33, in whatever order they are added. */
const resolution = 2 ** -20

/**
 * The report with its counters and histograms at whole multiples of a millionth, nearly. The same numbers added in another order may
 * give less by a last binary digit, and Prometheus takes each fall of a counter for a restart of it.
 */
export function summable(report: Report): Report {
  return report.map((metric) => {
    if (!isCumulative(metric) || metric.values.every(({ value }) => Number.isInteger(value))) return metric
    const values = metric.values.map((one) => ({ ...one, value: Math.floor(one.value / resolution) * resolution }))
    return { ...metric, values }
  })
}

/** `total` plus the counters and histograms of `report`; neither is changed. */
export function addCumulative(total: Report, report: Report): Report {
  return combine(total, cumulativePart(report), (a, b) => a + b)
}

/** `report`, with each gauge that is named in `peaks` at no less than in `earlier`. */
export function keepPeaks(report: Report, earlier: Report, peaks: ReadonlySet<string>): Report {
  const named = earlier.filter(({ name }) => peaks.has(name))
  return named.length === 0 ? report : combine(report, named, Math.max)
}

/** The union of both, with `join` deciding values that both have. */
function combine(into: Report, other: Report, join: (a: number, b: number) => number): Report {
  const byName = new Map(into.map((metric) => [metric.name, metric]))
  for (const metric of other) {
    const known = byName.get(metric.name)
    byName.set(metric.name, known === undefined ? metric : { ...known, values: combineValues(known, metric, join) })
  }
  return [...byName.values()]
}

function combineValues(into: Metric, other: Metric, join: (a: number, b: number) => number): MetricValue[] {
  const byLabels = new Map(into.values.map((value) => [seriesKey(value), value]))
  for (const value of other.values) {
    const key = seriesKey(value)
    const known = byLabels.get(key)
    byLabels.set(key, known === undefined ? value : { ...known, value: join(known.value, value.value) })
  }
  return [...byLabels.values()]
}

function seriesKey({ metricName = '', labels }: MetricValue): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([metricName, sorted])
}
