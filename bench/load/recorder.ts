import type { Histogram } from 'hdr-histogram-js'
import { encodeHistogram, newHistogram } from '../report/latencies.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import { count, newTally, type Tally } from '../report/tally.ts'
import { bodyOf, codeIn } from './reply.ts'

/** One answer that was no 2xx, or one request without an answer, for the file of errors. */
export interface ErrorSample {
  readonly at: string
  readonly kind: string
  readonly request: string
  readonly status?: number
  readonly body?: string
}

interface TurnedDown {
  readonly operation: LoadOperation
  readonly path: string
  readonly status: number
  readonly reply: Buffer
}

/** Kept of each kind of error, by each generator: what is like them is only counted. */
const samplesPerKindMax = 10
/** Characters of a body that are kept. */
const sampleBodyMax = 2_000

type Histograms = Readonly<Record<LoadOperation, Histogram>>

/** What one generator's connections report to. `tally` and the second's latencies are those since the last `takeSecond`. */
export class Recorder {
  tally: Tally = newTally()
  readonly #second = newHistogram(2)
  /** Whole measurement, from when a request counts as due. */
  readonly latencies: Histograms = { checkout: newHistogram(), purchase: newHistogram() }
  /** The same from when it was really sent. */
  readonly uncorrected: Histograms = { checkout: newHistogram(), purchase: newHistogram() }
  /** Of the last first purchase: its moment, and how many answers there had been by then. */
  lastPurchaseMs: number | undefined
  answersAtLastPurchase = 0
  #answers = 0
  #samples: ErrorSample[] = []
  readonly #sampled: Record<string, number> = {}

  /** Milliseconds from the moment it was due, and from the moment it was sent. */
  measured(operation: LoadOperation, sinceDueMs: number, sinceSentMs: number): void {
    const dueUs = Math.max(1, Math.round(sinceDueMs * 1_000))
    this.latencies[operation].recordValue(dueUs)
    this.#second.recordValue(dueUs)
    this.uncorrected[operation].recordValue(Math.max(1, Math.round(sinceSentMs * 1_000)))
  }

  /** Every answer comes by here. */
  answered(): void {
    this.#answers += 1
  }

  purchased(): void {
    this.tally.purchases += 1
    this.lastPurchaseMs = performance.now()
    this.answersAtLastPurchase = this.#answers
  }

  turnedDown({ operation, path, status, reply }: TurnedDown): void {
    const code = codeIn(reply) || `http_${status}`
    if (status >= 400 && status < 500) count(this.tally.rejected, code)
    else if (status >= 500) count(this.tally.failed, code)
    else count(this.tally.unexpected, `status ${status}`)
    this.#sample(`${operation} ${status} ${code}`, path, { status, body: reply })
  }

  /** A 2xx that a right server does not give. */
  unexpected(what: string, path: string, reply: Buffer): void {
    count(this.tally.unexpected, what)
    this.#sample(what, path, { status: 200, body: reply })
  }

  unanswered(reason: string, path: string): void {
    if (reason === 'timeout') this.tally.timeouts += 1
    else count(this.tally.socketErrors, reason)
    this.#sample(`no answer: ${reason}`, path)
  }

  /** Hands out what was counted since the last call. */
  takeSecond(): { tally: Tally; latency: string; samples: ErrorSample[] } {
    const taken = { tally: this.tally, latency: encodeHistogram(this.#second), samples: this.#samples }
    this.tally = newTally()
    this.#second.reset()
    this.#samples = []
    return taken
  }

  #sample(kind: string, path: string, answer?: { status: number; body: Buffer }): void {
    const sampled = this.#sampled[kind] ?? 0
    if (sampled >= samplesPerKindMax) return
    this.#sampled[kind] = sampled + 1
    this.#samples.push({
      at: new Date().toISOString(),
      kind,
      request: `POST ${path}`,
      ...(answer && { status: answer.status, body: bodyOf(answer.body).slice(0, sampleBodyMax) }),
    })
  }
}
