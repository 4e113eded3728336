import { Histogram, type MetricObjectWithValues, type MetricValueWithName, type Registry } from 'prom-client'

export interface FlatHistogramOptions {
  readonly name: string
  readonly help: string
  readonly registry: Registry
  /** Upper bounds of the buckets, ascending. */
  readonly bounds: readonly number[]
  /** The label sets; `observeAt` takes their place in this list. */
  readonly series: readonly Readonly<Record<string, string>>[]
  /**
   * Which are there before their first observation, which has no rate otherwise; default: all. Each is as many values as there are
   * buckets, in every report to the primary, once a second.
   */
  readonly isThereFromStart?: (labels: Readonly<Record<string, string>>) => boolean
}

/**
 * A histogram whose series are known from the start, so that an observation is two additions in flat arrays.
 * prom-client's own sorts and joins the labels into a key for every observation, which is a microsecond a request.
 */
export class FlatHistogram extends Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: Float64Array
  readonly #series: FlatHistogramOptions['series']
  readonly #isThereFromStart: (labels: Readonly<Record<string, string>>) => boolean
  /** Series by series, one count a bucket and one for what is above all bounds. Not cumulative. */
  readonly #counts: Float64Array
  readonly #sums: Float64Array

  constructor({ name, help, registry, bounds, series, isThereFromStart = () => true }: FlatHistogramOptions) {
    const labelNames = [...new Set(series.flatMap((labels) => Object.keys(labels)))]
    super({ name, help, registers: [registry], labelNames, buckets: [...bounds] })
    this.#name = name
    this.#help = help
    this.#bounds = Float64Array.from(bounds)
    this.#series = series
    this.#isThereFromStart = isThereFromStart
    this.#counts = new Float64Array(series.length * (bounds.length + 1))
    this.#sums = new Float64Array(series.length)
  }

  /**
   * Counts one value.
   * @param series its place in the `series` that the histogram was made with
   * @param value in the unit of the bounds
   */
  observeAt(series: number, value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1
    const at = series * (bounds.length + 1) + bucket
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.#sums[series] = (this.#sums[series] as number) + value
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const values = this.#series.flatMap((labels, series) => this.#valuesOf(labels, series))
    const described = { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
    // prom-client's types call `type` a number; it is a word.
    return described as unknown as MetricObjectWithValues<MetricValueWithName<string>>
  }

  /** prom-client's text format asks this one, which its types do not show. */
  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get()
  }

  #valuesOf(labels: Readonly<Record<string, string>>, series: number): MetricValueWithName<string>[] {
    const width = this.#bounds.length + 1
    if (!this.#isThereFromStart(labels) && this.#isEmpty(series)) return []
    const values: MetricValueWithName<string>[] = []
    let total = 0
    for (let bucket = 0; bucket < width; bucket++) {
      total += this.#counts[series * width + bucket] as number
      const le = this.#bounds[bucket] ?? '+Inf'
      values.push({ labels: { ...labels, le }, value: total, metricName: `${this.#name}_bucket` })
    }
    values.push({ labels, value: this.#sums[series] as number, metricName: `${this.#name}_sum` })
    values.push({ labels, value: total, metricName: `${this.#name}_count` })
    return values
  }

  #isEmpty(series: number): boolean {
    const width = this.#bounds.length + 1
    return this.#counts.subarray(series * width, (series + 1) * width).every((count) => count === 0)
  }
}
