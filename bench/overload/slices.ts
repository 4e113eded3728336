import { newHistogram } from '../report/latencies.ts'

export const sliceMs = 250

/** A quarter of a second, by when the answers came. */
export interface Slice {
  /** Since the first phase began. */
  readonly startMs: number
  readonly accepted: number
  readonly shed: number
  /** Of the accepted, from when they were due; 0: there were none. */
  readonly p99Us: number
}

/** Cuts what comes into slices, so that one sees how long an overload is felt. */
export class Slices {
  readonly #startMs: number
  readonly #done: Slice[] = []
  readonly #latencies = newHistogram(2)
  #shed = 0

  constructor(startMs: number) {
    this.#startMs = startMs
  }

  accepted(nowMs: number, sinceDueMs: number): void {
    this.#cut(nowMs)
    this.#latencies.recordValue(Math.max(1, Math.round(sinceDueMs * 1_000)))
  }

  shed(nowMs: number): void {
    this.#cut(nowMs)
    this.#shed += 1
  }

  /** All that have passed. */
  taken(nowMs: number): readonly Slice[] {
    this.#cut(nowMs)
    return this.#done
  }

  #cut(nowMs: number): void {
    for (;;) {
      const startMs = this.#done.length * sliceMs
      if (nowMs - this.#startMs < startMs + sliceMs) return
      const { totalCount: accepted } = this.#latencies
      const p99Us = accepted === 0 ? 0 : this.#latencies.getValueAtPercentile(99)
      this.#done.push({ startMs, accepted, shed: this.#shed, p99Us })
      this.#latencies.reset()
      this.#shed = 0
    }
  }
}

/**
 * Ms after `endMs` until a second begins in which nobody is turned away and the slowest percentile is at most `p99UsMax`;
 * `undefined`: there was none.
 */
export function recoveredAfterMs(slices: readonly Slice[], endMs: number, p99UsMax: number): number | undefined {
  const after = slices.filter(({ startMs }) => startMs >= endMs - 1)
  const perSecond = 1_000 / sliceMs
  const isWell = ({ accepted, shed, p99Us }: Slice): boolean => accepted > 0 && shed === 0 && p99Us <= p99UsMax
  for (let at = 0; at + perSecond <= after.length; at++)
    if (after.slice(at, at + perSecond).every(isWell)) return (after[at] as Slice).startMs - endMs
  return undefined
}
