import { boardCurvePointsMax } from '../limits.ts'

/** Items sold over time, as a line of at most `boardCurvePointsMax` points: when they are too many, every other goes. */
export class SaleCurve {
  /** ms since the sale opened and items sold, in turn. */
  readonly points: number[] = []
  #stepMs = 0

  /** @param soldAtMs when each item was sold, ms since the sale opened, in any order */
  static through(soldAtMs: readonly number[]): SaleCurve {
    const curve = new SaleCurve()
    const sorted = soldAtMs.toSorted((a, b) => a - b)
    for (const [at, ms] of sorted.entries()) curve.add(ms, at + 1)
    return curve
  }

  /**
   * @param ms since the sale opened
   * @param sold all items sold by then
   */
  add(ms: number, sold: number): void {
    const { points } = this
    // Within a step the last point moves; one that is to stay needs its distance from the one before.
    if (points.length > 2 && ms - (points.at(-4) ?? 0) < this.#stepMs) points.length -= 2
    points.push(ms, sold)
    if (points.length <= boardCurvePointsMax * 2) return
    const kept = points.filter((_, at) => at % 4 < 2 || at >= points.length - 2)
    points.splice(0, points.length, ...kept)
    this.#stepMs = Math.max(this.#stepMs * 2, (ms - (points[0] ?? 0)) / boardCurvePointsMax)
  }
}
