import type { Histogram } from 'hdr-histogram-js'
import { type LatencySummary, newHistogram, summarize } from '../report/latencies.ts'

export interface Phase {
  readonly name: string
  readonly seconds: number
  /** Requests a second on schedule; 0: each connection sends when it has its answer. */
  readonly rate: number
  /** Used at most. */
  readonly connections: number
}

/** What became of the requests that were due in a phase. */
export interface PhaseResult extends Phase {
  readonly due: number
  readonly sent: number
  /** 200. */
  readonly accepted: number
  /** 503. */
  readonly shed: number
  /** Any other answer. */
  readonly other: number
  /** The connection broke before the answer. */
  readonly lost: number
  readonly acceptedFromDue: LatencySummary
  readonly acceptedFromSent: LatencySummary
  readonly shedFromSent: LatencySummary
  /** Of the generator's process. */
  readonly generatorCpuSeconds: number
}

export class PhaseRecord {
  readonly phase: Phase
  due = 0
  sent = 0
  #accepted = 0
  #shed = 0
  #other = 0
  lost = 0
  readonly #acceptedFromDue = newHistogram()
  readonly #acceptedFromSent = newHistogram()
  readonly #shedFromSent = newHistogram()
  readonly #cpuBefore = process.cpuUsage()
  #cpuSeconds = 0

  constructor(phase: Phase) {
    this.phase = phase
  }

  answered(status: number, { sinceDueMs, sinceSentMs }: { sinceDueMs: number; sinceSentMs: number }): void {
    if (status === 200) {
      this.#accepted += 1
      record(this.#acceptedFromDue, sinceDueMs)
      record(this.#acceptedFromSent, sinceSentMs)
    } else if (status === 503) {
      this.#shed += 1
      record(this.#shedFromSent, sinceSentMs)
    } else this.#other += 1
  }

  /** Its time is over; answers may still come. */
  end(): void {
    const { user, system } = process.cpuUsage(this.#cpuBefore)
    this.#cpuSeconds = (user + system) / 1e6
  }

  result(): PhaseResult {
    return {
      ...this.phase,
      due: this.due,
      sent: this.sent,
      accepted: this.#accepted,
      shed: this.#shed,
      other: this.#other,
      lost: this.lost,
      acceptedFromDue: summarize(this.#acceptedFromDue),
      acceptedFromSent: summarize(this.#acceptedFromSent),
      shedFromSent: summarize(this.#shedFromSent),
      generatorCpuSeconds: this.#cpuSeconds,
    }
  }
}

function record(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.max(1, Math.round(ms * 1_000)))
}
