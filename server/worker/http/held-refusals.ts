import { refusalHoldMsMax, refusalsHeldMax, refusalsPerSecondMax, refusalTickMs } from '../limits.ts'
import type { Exchange } from './exchange.ts'
import type { ShedReason } from './request-metrics.ts'
import { turnedAway } from './turned-away.ts'

/** Those by which a flood is turned away. What is refused for another reason keeps nobody from selling. */
const heldReasons: ReadonlySet<ShedReason> = new Set(['overloaded', 'backlog_full', 'memory_full'])

interface Refusal {
  readonly exchange: Pick<Exchange, 'reply'>
  readonly reason: ShedReason
  readonly sinceMs: number
}

/**
 * Answers to requests that were turned away, which wait. A connection can't ask again before it has its answer, so what
 * an impatient crowd takes of this process is bounded by the rate at which refusals leave: to turn one away at once costs
 * half of what selling costs, and then the crowd is free to ask again at once.
 *
 * They leave in the order of arrival. Few of them wait a few ms, and nobody longer than `refusalHoldMsMax`.
 */
export class HeldRefusals {
  readonly #now: () => number
  /** Those before `#first` have left. */
  #waiting: Refusal[] = []
  #first = 0
  #timer: NodeJS.Timeout | undefined
  #lastTickMs = 0
  /** How many may leave now; fractions are kept. */
  #allowance = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get count(): number {
    return this.#waiting.length - this.#first
  }

  /** `false`: such a refusal is to be answered at once. */
  takes(reason: ShedReason): boolean {
    return heldReasons.has(reason) && this.count < refusalsHeldMax
  }

  /** Takes over an exchange, and answers it later. */
  hold(exchange: Pick<Exchange, 'reply'>, reason: ShedReason): void {
    const sinceMs = this.#now()
    this.#waiting.push({ exchange, reason, sinceMs })
    if (this.#timer === undefined) {
      this.#lastTickMs = sinceMs
      this.#allowance = 0
      this.#arm()
    }
  }

  /** Answers all of them now: whoever waits for the last answers of this process doesn't wait for these. */
  release(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#answer(this.count)
  }

  #arm(): void {
    this.#timer = setTimeout(this.#tick, refusalTickMs)
  }

  readonly #tick = (): void => {
    const nowMs = this.#now()
    this.#allowance += ((nowMs - this.#lastTickMs) * refusalsPerSecondMax) / 1_000
    this.#lastTickMs = nowMs
    const due = Math.max(Math.floor(this.#allowance), this.#overdue(nowMs))
    const answered = Math.min(due, this.count)
    this.#allowance = Math.max(0, this.#allowance - answered)
    this.#answer(answered)
    if (this.count > 0) this.#arm()
    else this.#timer = undefined
  }

  /** How many have waited as long as anybody may: they came first, so they stand first. */
  #overdue(nowMs: number): number {
    let at = this.#first
    while (at < this.#waiting.length && nowMs - (this.#waiting[at] as Refusal).sinceMs >= refusalHoldMsMax) at++
    return at - this.#first
  }

  #answer(count: number): void {
    const end = this.#first + count
    while (this.#first < end) {
      const { exchange, reason } = this.#waiting[this.#first++] as Refusal
      exchange.reply(turnedAway(reason))
    }
    // Moving the rest down costs as much as it is long, so it is done when less is left than has gone.
    if (this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
  }
}
