import { AggregatorRegistry } from 'prom-client'

import type { ChildKind, ToChild } from '../../core/ipc.ts'
import { metricsGatherMsMax } from '../../core/limits.ts'
import { startTimeLimit } from '../../core/time-limit.ts'
import { addCumulative, cumulativePart, keepPeaks, type Report, summable } from './metric-reports.ts'

/** What of a child is needed here. */
export interface ReportingChild {
  readonly kind: ChildKind
  readonly number: number
  send(message: ToChild): void
}

interface Question {
  readonly id: number
  readonly askedMs: number
  readonly answered: Promise<void>
  readonly resolve: () => void
}

/** What is known of one child. */
interface Account {
  report: Report
  /** Its peaks were part of a scrape: the next report starts new ones. */
  isScraped: boolean
  /** At most one at a time: to a hung child they would pile up. */
  question: Question | undefined
}

export interface ClusterMetricsOptions {
  /** The children that can answer. */
  readonly children: () => readonly ReportingChild[]
  /**
   * The primary's own metrics. Told who did not answer, and which reports are current, so that it can name the ones
   * and fill in for what is missing in the others.
   */
  readonly ownReport: (silent: readonly ReportingChild[], current: readonly Report[]) => Promise<Report>
  /** Gauges that tell of the time since they were last asked. Between two scrapes the highest value counts. */
  readonly peaks: ReadonlySet<string>
}

/**
 * One report for all processes. prom-client's own cluster support fails a whole scrape when one process hangs, and
 * forgets what the dead have counted, so that every counter falls when a worker dies; Prometheus takes a fall for a
 * restart and makes up requests. Here a scrape waits a bounded time, the silent are named, their last counters count
 * on, and those of the dead are kept. A killed process takes along what it counted since it was last asked.
 */
export class ClusterMetrics {
  readonly #options: ClusterMetricsOptions
  readonly #accounts = new Map<ReportingChild, Account>()
  #retired: Report = []
  /** An answer may still come out of the channel when its sender has ended: it would count a second time. */
  readonly #ended = new WeakSet<ReportingChild>()
  #questions = 0
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<readonly ReportingChild[]> | undefined

  constructor(options: ClusterMetricsOptions) {
    this.#options = options
  }

  /** A child has answered. */
  received(child: ReportingChild, id: number, metrics: readonly unknown[]): void {
    if (this.#ended.has(child)) return
    const account = this.#account(child)
    const report = summable(metrics as Report)
    account.report = account.isScraped ? report : keepPeaks(report, account.report, this.#options.peaks)
    account.isScraped = false
    if (account.question?.id !== id) return
    account.question.resolve()
    account.question = undefined
  }

  /** A child has ended. */
  retire(child: ReportingChild): void {
    this.#ended.add(child)
    const account = this.#accounts.get(child)
    if (account === undefined) return
    this.#accounts.delete(child)
    this.#retired = addCumulative(this.#retired, account.report)
    account.question?.resolve()
  }

  /**
   * Asks every child for its numbers and waits, bounded. Answers who is silent. All callers that wait share one round,
   * which begins after their call: a round that runs already may have passed a child before what the caller has seen.
   */
  gather(): Promise<readonly ReportingChild[]> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const round = this.#ask()
      this.#running = round
      return round
    })
    return this.#next
  }

  /** The report on all processes in Prometheus' text format. */
  async scrape(): Promise<string> {
    const silent = await this.gather()
    const isSilent = new Set(silent)
    // Taken in the same moment as the accounts: a child that ends while our own report is made would count twice.
    const retired = this.#retired
    const current: Report[] = []
    const old: Report[] = []
    for (const [child, account] of this.#accounts) {
      if (isSilent.has(child)) old.push(cumulativePart(account.report))
      else current.push(account.report)
      account.isScraped = true
    }
    const own = summable(await this.#options.ownReport(silent, current))
    const reports = [retired, ...current, ...old, own] as object[]
    return await AggregatorRegistry.aggregate(reports).metrics()
  }

  async #ask(): Promise<readonly ReportingChild[]> {
    const children = this.#options.children()
    for (const child of children) {
      const account = this.#account(child)
      if (account.question !== undefined) continue
      account.question = newQuestion((this.#questions += 1))
      child.send({ type: 'metrics', id: account.question.id })
    }
    await Promise.all(children.map((child) => answeredOrLate(this.#accounts.get(child)?.question)))
    return children.filter((child) => this.#accounts.get(child)?.question !== undefined)
  }

  #account(child: ReportingChild): Account {
    let account = this.#accounts.get(child)
    if (account === undefined) {
      account = { report: [], isScraped: false, question: undefined }
      this.#accounts.set(child, account)
    }
    return account
  }
}

function newQuestion(id: number): Question {
  let resolve: (() => void) | undefined
  const answered = new Promise<void>((settle) => {
    resolve = settle
  })
  return { id, askedMs: performance.now(), answered, resolve: () => resolve?.() }
}

/** Who has been silent for longer than the bound already isn't waited for again. */
async function answeredOrLate(question: Question | undefined): Promise<void> {
  const leftMs = question === undefined ? 0 : question.askedMs + metricsGatherMsMax - performance.now()
  if (question === undefined || leftMs <= 0) return
  await new Promise<void>((resolve) => {
    const endLimit = startTimeLimit(leftMs, resolve)
    void question.answered.then(endLimit).then(resolve)
  })
}
