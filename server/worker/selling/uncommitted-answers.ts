import assert from 'node:assert/strict'

import { compareLogPositions, type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import { startTimeLimit } from '../../../core/time-limit.ts'
import type { Exchange } from '../http/exchange.ts'
import { okHead } from '../http/replies.ts'

/** The answer to a successful purchase. */
export interface UncommittedAnswer {
  readonly exchange: Pick<Exchange, 'answer' | 'unrecorded'>
  readonly body: string
  readonly headers: string
}

/** A log entry, and the answers to those of its purchases that succeeded. */
interface Entry {
  readonly logId: string
  readonly position: LogPosition
  readonly dueMs: number
  readonly answers: UncommittedAnswer[]
}

export interface UncommittedAnswersOptions {
  /** An answer that waited so long is given up: its buyer is told that it is not known whether the record is permanent. */
  readonly waitMsMax: number
  readonly countMax: number
  /** Answers were given up. */
  readonly onLate: (count: number) => void
}

/**
 * With APP_ACK=postgres, answers that are ready and may not leave before Postgres has what they say. This process gets its
 * decisions in the log's order, so they stand in it by themselves, and a commit releases a prefix.
 */
export class UncommittedAnswers {
  readonly #options: UncommittedAnswersOptions
  /** In the order of the log, each newer than `#committed`. */
  readonly #entries: Entry[] = []
  /** Of the answers of all entries. */
  #count = 0
  #committed: LogPosition = { epoch: 0, seq: 0 }
  /** Of an epoch: where the one before it ended; null: it follows on nothing. */
  readonly #ends = new Map<number, LogPosition | null>()
  /** One for all: it is set for the oldest entry, and when it fires for the one that is the oldest then. */
  #endLimit: (() => void) | undefined
  #isClosed = false

  constructor(options: UncommittedAnswersOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count >= this.#options.countMax
  }

  /** Everything up to here is known to be in Postgres. */
  get committed(): LogPosition {
    return this.#committed
  }

  /** Answers as soon as the entry is committed. `logId`: not before that of any earlier call. */
  add(logId: string, answer: UncommittedAnswer): void {
    const last = this.#entries.at(-1)
    this.#count += 1
    if (last?.logId === logId) last.answers.push(answer)
    else this.#open(logId, answer)
  }

  /** Everything up to here is committed. Positions may come more than once, and older ones late. */
  commit(position: LogPosition): void {
    if (compareLogPositions(position, this.#committed) <= 0) return
    this.#committed = position
    this.#settleCommitted()
  }

  /**
   * An epoch has begun, and the one before it ended there; null: Redis was rebuilt, and what Postgres lacked by then is lost.
   * Without this a commit in a newer epoch proves nothing of an entry in an older one.
   */
  epochBegan(epoch: number, end: LogPosition | null): void {
    this.#ends.set(epoch, end)
    this.#settleCommitted()
  }

  /** Gives up all that wait, and from now on all that come. */
  close(): void {
    this.#isClosed = true
    this.#endLimit?.()
    for (const entry of this.#shiftWhile(() => true)) this.#giveUp(entry)
  }

  #open(logId: string, answer: UncommittedAnswer): void {
    const { waitMsMax } = this.#options
    const position = parseLogPosition(logId)
    const newest = this.#entries.at(-1)
    assert(
      newest === undefined || compareLogPositions(newest.position, position) < 0,
      'decisions come in the order of the log',
    )
    const entry: Entry = { logId, position, dueMs: performance.now() + waitMsMax, answers: [answer] }
    if (this.#isClosed) this.#giveUp(entry)
    // The word of the commit comes on another connection than the decision, and can overtake it.
    else if (!this.#settle(entry)) {
      this.#entries.push(entry)
      this.#endLimit ??= startTimeLimit(waitMsMax, this.#expire)
    }
  }

  #settleCommitted(): void {
    const reached = this.#shiftWhile((oldest) => compareLogPositions(oldest.position, this.#committed) <= 0)
    this.#entries.unshift(...reached.filter((entry) => !this.#settle(entry)))
  }

  /** @returns false: nobody knows yet what has become of it */
  #settle(entry: Entry): boolean {
    const fate = this.#fateOf(entry.position)
    if (fate === 'lost') this.#giveUp(entry)
    if (fate !== 'committed') return fate === 'lost'
    this.#count -= entry.answers.length
    assert(this.#count >= 0, 'an answer leaves once')
    for (const { exchange, body, headers } of entry.answers) exchange.answer(okHead, body, headers)
    return true
  }

  /** By what is committed, and the epochs that led there from the entry's. */
  #fateOf(position: LogPosition): 'committed' | 'lost' | 'unknown' {
    let reached = this.#committed
    while (reached.epoch > position.epoch) {
      const end = this.#ends.get(reached.epoch)
      if (end === undefined) return 'unknown'
      if (end === null) return 'lost'
      reached = end
    }
    if (compareLogPositions(position, reached) <= 0) return 'committed'
    // Either it is still to come, or its epoch ended without it.
    return reached === this.#committed ? 'unknown' : 'lost'
  }

  #giveUp({ answers }: Entry): void {
    this.#count -= answers.length
    for (const { exchange } of answers) exchange.unrecorded()
  }

  readonly #expire = (): void => {
    const nowMs = performance.now()
    const late = this.#shiftWhile(({ dueMs }) => dueMs <= nowMs)
    for (const entry of late) this.#giveUp(entry)
    const [oldest] = this.#entries
    this.#endLimit = oldest && startTimeLimit(oldest.dueMs - nowMs, this.#expire)
    if (late.length > 0) this.#options.onLate(late.reduce((sum, { answers }) => sum + answers.length, 0))
  }

  #shiftWhile(belongs: (oldest: Entry) => boolean): Entry[] {
    const end = this.#entries.findIndex((entry) => !belongs(entry))
    return this.#entries.splice(0, end < 0 ? this.#entries.length : end)
  }
}
