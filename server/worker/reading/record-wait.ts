import { setTimeout as delay } from 'node:timers/promises'

import { Fault, type FaultCode } from '../../../core/faults.ts'
import { compareLogPositions, type LogPosition } from '../../../core/log-position.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import type { Exchange } from '../http/exchange.ts'
import type { QueryParameters } from '../http/query-parameters.ts'
import { retryLater } from '../http/turned-away.ts'
import { recordLookPauseMs, recordWaitersMax, recordWaitMsMax } from '../limits.ts'
import type { ReachedPositions } from './freshness.ts'
import { problemOf } from './read-gate.ts'

/** A place in the log of a shard. */
interface Place {
  readonly shard: number
  readonly position: LogPosition
}

/** What a reader wants the record to have before it is read. */
export interface WantedRecord {
  readonly waitMs: number
  /** What was decided there; undefined: all that was decided when the request came. */
  readonly decision: Place | undefined
}

type Waiter = Pick<Exchange, 'reply' | 'shed' | 'isGone'>

interface Waiting {
  readonly exchange: Waiter
  readonly dueMs: number
  /** undefined: where the logs end is yet to be asked. */
  places: readonly Place[] | undefined
  /** Of a place that was named. doubted: the record doesn't have it, so the log is asked whether it has; then it is taken for known. */
  named: 'new' | 'doubted' | 'known' | undefined
  readonly read: (reached: ReachedPositions) => void
}

export interface RecordWaitOptions {
  /** Each with its log, by their numbers. */
  readonly shards: readonly {
    readonly number: number
    readonly store: { logState(): Promise<Pick<LogState, 'last'>> }
  }[]
  readonly record: { reached(): Promise<ReachedPositions> }
  readonly onFault: (code: FaultCode) => void
  readonly now?: () => number
}

/** As Hotcakes-Decision has it. */
const decisionPattern = /^(?:([1-9]\d{0,4}):)?([1-9]\d{0,14})-([1-9]\d{0,14})-(?:0|[1-9]\d{0,14})$/

/**
 * Readers that want the record to have something first. All of them share each look at the record, and those that come together share
 * a look at the logs. So what they cost depends on the pause between looks, and not on how many they are.
 *
 *     until() ──► waiting ──record has it──► read
 *                    ├──wait is over, endWaits(), or the log has no such place──► 503 record_behind
 *                    └──Redis or Postgres says no──► 503 unavailable, records_unavailable
 */
export class RecordWait {
  readonly #options: RecordWaitOptions
  readonly #now: () => number
  readonly #ending = new AbortController()
  #waiting: Waiting[] = []
  #isLooking = false
  #lookedMs = Number.NEGATIVE_INFINITY
  #isAsking = false
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(options: RecordWaitOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Requests that wait. */
  get requests(): number {
    return this.#waiting.length
  }

  /** By the parameters `wait` and `decision`; undefined: the reader takes the record as it is. */
  wanted(asked: QueryParameters): WantedRecord | undefined {
    const waitMs = asked.integer('wait', { max: recordWaitMsMax })
    const decision = asked.parsed('decision', 'a place as Hotcakes-Decision names it', (text) => this.#placeOf(text))
    return waitMs === undefined && decision === undefined ? undefined : { waitMs: waitMs ?? 0, decision }
  }

  /** Calls `read` once the record has what is wanted. Otherwise the exchange is answered. */
  until(exchange: Waiter, { waitMs, decision }: WantedRecord, read: (reached: ReachedPositions) => void): void {
    if (this.#waiting.length >= recordWaitersMax) {
      exchange.shed('overloaded')
      return
    }
    const [places, named] = decision === undefined ? [undefined, undefined] : ([[decision], 'new'] as const)
    this.#waiting.push({ exchange, dueMs: this.#now() + waitMs, places, named, read })
    void (places === undefined ? this.#findEnds() : this.#look())
  }

  /** Nobody waits any longer, and whoever comes gets one look. */
  endWaits(): void {
    this.#ending.abort()
  }

  #placeOf(text: string): Place | undefined {
    const [, shard = '0', epoch, seq] = decisionPattern.exec(text) ?? []
    const isShard = this.#options.shards.some(({ number }) => number === Number(shard))
    if (epoch === undefined || !isShard) return undefined
    return { shard: Number(shard), position: { epoch: Number(epoch), seq: Number(seq) } }
  }

  get #placed(): readonly Waiting[] {
    return this.#waiting.filter(({ places }) => places !== undefined)
  }

  get #unasked(): readonly Waiting[] {
    return this.#waiting.filter(({ places, named }) => places === undefined || named === 'doubted')
  }

  /** Looks at the record again and again. Rejects with what is no Fault: a bug, which ends the process. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#placed.length > 0) {
      await this.#pauseSince(this.#lookedMs)
      this.#lookedMs = this.#now()
      await this.#settle(this.#placed)
    }
    this.#isLooking = false
  }

  /**
   * Where the logs end, for those that came since the last question, or that named what the record doesn't have. Beside the looks at the record: a Redis that hangs keeps nobody
   * waiting who doesn't need it. The record is looked at after it, and is then as new or newer.
   */
  async #findEnds(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    while (this.#unasked.length > 0) {
      await this.#pauseSince(this.#askedMs)
      this.#askedMs = this.#now()
      await this.#place(this.#unasked)
      void this.#look()
    }
    this.#isAsking = false
  }

  /** Also for who comes alone, again and again. None when the worker goes. */
  async #pauseSince(beforeMs: number): Promise<void> {
    const ms = beforeMs + recordLookPauseMs - this.#now()
    if (ms > 0) await delay(ms, undefined, { signal: this.#ending.signal }).catch(() => undefined)
  }

  async #place(waiting: readonly Waiting[]): Promise<void> {
    const unplaced = waiting.filter(({ places }) => places === undefined)
    const doubted = waiting.filter(({ named }) => named === 'doubted')
    for (const each of doubted) each.named = 'known'
    try {
      const { shards } = this.#options
      const ends = await Promise.all(shards.map(async ({ store }) => (await store.logState()).last))
      const places = ends.map((position, at) => ({ shard: shards[at]?.number as number, position }))
      for (const each of unplaced) each.places = places
      // Made up, or of a Redis that has lost it: nobody takes up room for as long as he likes with a place that may never come.
      for (const each of doubted) {
        if (!hasAll(ends, each) && this.#remove(each)) each.exchange.reply(retryLater('record_behind'))
      }
    } catch (error) {
      this.#refuse(unplaced, error)
    }
  }

  async #settle(waiting: readonly Waiting[]): Promise<void> {
    let reached: ReachedPositions
    try {
      reached = await this.#options.record.reached()
    } catch (error) {
      this.#refuse(waiting, error)
      return
    }
    const nowMs = this.#ending.signal.aborted ? Number.POSITIVE_INFINITY : this.#now()
    for (const each of waiting) {
      const isReached = hasAll(reached, each)
      if (isReached || each.dueMs <= nowMs || each.exchange.isGone) this.#remove(each)
      if (each.exchange.isGone) continue
      if (isReached) each.read(reached)
      else if (each.dueMs <= nowMs) each.exchange.reply(retryLater('record_behind'))
      else if (each.named === 'new') each.named = 'doubted'
    }
    if (this.#unasked.length > 0) void this.#findEnds()
  }

  #refuse(waiting: readonly Waiting[], error: unknown): void {
    if (!(error instanceof Fault)) throw error
    this.#options.onFault(error.code)
    for (const each of waiting) {
      this.#remove(each)
      each.exchange.reply(retryLater(problemOf(error)))
    }
  }

  /** @returns whether it waited */
  #remove(waiting: Waiting): boolean {
    const before = this.#waiting.length
    this.#waiting = this.#waiting.filter((each) => each !== waiting)
    return this.#waiting.length < before
  }
}

function hasAll(reached: ReachedPositions, { places }: Waiting): boolean {
  return places?.every((place) => hasReached(reached, place)) === true
}

function hasReached(reached: ReachedPositions, { shard, position }: Place): boolean {
  const of = reached[shard]
  return of !== undefined && compareLogPositions(of, position) >= 0
}
