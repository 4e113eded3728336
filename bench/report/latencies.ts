import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'

/** Longer than any patience that can be set: nothing that happens is left out. */
const usMax = 3_600_000_000
const buckets = 32

/** @param digits significant decimal digits kept: 3 costs 6 KB in a report, 2 a quarter of that */
export function newHistogram(digits: 2 | 3 = 3): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: usMax,
    numberOfSignificantValueDigits: digits,
    bitBucketSize: buckets,
  })
}

export const encodeHistogram = (histogram: Histogram): string => encodeIntoCompressedBase64(histogram)

/** @throws when the text is none of `encodeHistogram` */
export const decodeHistogram = (text: string): Histogram => decodeFromCompressedBase64(text, buckets)

/** One histogram of all; they need the same number of digits. */
export function mergeHistograms(texts: readonly string[], digits: 2 | 3 = 3): Histogram {
  const merged = newHistogram(digits)
  for (const text of texts) merged.add(decodeHistogram(text))
  return merged
}

/** Microseconds. */
export interface LatencySummary {
  readonly count: number
  readonly meanUs: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** The whole HdrHistogram, in microseconds, V2 compressed, base64. */
  readonly histogram: string
}

export function summarize(histogram: Histogram): LatencySummary {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile)
  const { totalCount: count } = histogram
  return {
    count,
    meanUs: count === 0 ? 0 : Math.round(histogram.mean),
    p50Us: at(50),
    p90Us: at(90),
    p99Us: at(99),
    p999Us: at(99.9),
    maxUs: count === 0 ? 0 : histogram.maxValue,
    histogram: encodeHistogram(histogram),
  }
}

/**
 * The percentile curve for a plot: more points the nearer to 100 %, where what matters happens. `at` is the number of
 * nines: 1 is p90, 3 is p99.9.
 */
export function percentileCurve(histogram: Histogram): { readonly nines: number[]; readonly us: number[] } {
  const nines: number[] = []
  const us: number[] = []
  if (histogram.totalCount === 0) return { nines, us }
  const ninesMax = Math.log10(histogram.totalCount)
  for (let at = 0; at <= ninesMax && at <= 6; at += 0.05) {
    nines.push(Number(at.toFixed(2)))
    us.push(histogram.getValueAtPercentile(100 * (1 - 10 ** -at)))
  }
  return { nines, us }
}
