import type { Histogram } from 'hdr-histogram-js'
import { decodeHistogram, mergeHistograms, newHistogram } from '../report/latencies.ts'
import type { Timeline } from '../report/report.ts'
import { accepted, addTally, answered, newTally, sum, type Tally, unanswered } from '../report/tally.ts'
import type { Second } from './generator-process.ts'

interface SecondSoFar {
  readonly tally: Tally
  readonly latencies: string[]
}

/** What all generators of one run have counted so far. */
export class Measurement {
  readonly warmup = newTally()
  readonly tally = newTally()
  readonly tail = newTally()
  readonly #seconds = new Map<number, SecondSoFar>()

  add({ second, tally, latency }: Pick<Second, 'second' | 'tally' | 'latency'>): void {
    if (second === 'tail') addTally(this.tail, tally)
    else if (second < 0) addTally(this.warmup, tally)
    else {
      addTally(this.tally, tally)
      const soFar = this.#seconds.get(second) ?? { tally: newTally(), latencies: [] }
      addTally(soFar.tally, tally)
      soFar.latencies.push(latency)
      this.#seconds.set(second, soFar)
    }
  }

  /** Of everything, warm-up included. */
  get acceptedEver(): number {
    return accepted(this.warmup) + accepted(this.tally) + accepted(this.tail)
  }

  /** @param seconds whole ones: of the last second, when it was cut short, there is no rate */
  timeline(seconds: number): Timeline {
    const each = Array.from({ length: seconds }, (_, second) => {
      const { tally, latencies } = this.#seconds.get(second) ?? { tally: newTally(), latencies: [] }
      return { tally, latency: onlyOrMerged(latencies) }
    })
    const column = (of: (tally: Tally) => number) => each.map(({ tally }) => of(tally))
    const percentile = (at: number) => each.map(({ latency }) => latency.getValueAtPercentile(at))
    return {
      answered: column(answered),
      holds: column(({ holds }) => holds),
      purchases: column(({ purchases }) => purchases),
      rejected: column(({ rejected }) => sum(rejected)),
      failed: column((tally) => sum(tally.failed) + unanswered(tally)),
      p50Us: percentile(50),
      p99Us: percentile(99),
      maxUs: each.map(({ latency }) => (latency.totalCount === 0 ? 0 : latency.maxValue)),
    }
  }
}

function onlyOrMerged(texts: readonly string[]): Histogram {
  const [only] = texts
  if (only === undefined) return newHistogram(2)
  return texts.length === 1 ? decodeHistogram(only) : mergeHistograms(texts, 2)
}
