/** The repeats of one metric. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

/**
 * clear: no repeat of one is as high as any repeat of the other, and there are enough of them to say so.
 * noise: the repeats overlap.
 * unknown: too few repeats, they could lie apart by chance.
 */
export type Verdict = 'clear' | 'noise' | 'unknown'

/** Repeats that lie apart by chance more often than this say nothing. Three of each are enough. */
const chanceMax = 0.1

/** @param values at least one */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)] ?? Number.NaN
  const high = sorted[Math.ceil(middle)] ?? Number.NaN
  return {
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    count: sorted.length,
  }
}

/**
 * How often the repeats of two equal things would all lie on different sides: of all ways to pick which `n` of the
 * `n + m` values belong to the first, two separate them.
 */
export function chanceApart(n: number, m: number): number {
  let ways = 1
  for (let at = 1; at <= n; at++) ways = (ways * (m + at)) / at
  return Math.min(1, 2 / ways)
}

export function judge(a: Spread, b: Spread): Verdict {
  const isApart = a.max < b.min || b.max < a.min
  // Where overlapping is likely whatever is measured, it is no news either.
  if (chanceApart(a.count, b.count) > chanceMax) return 'unknown'
  return isApart ? 'clear' : 'noise'
}
