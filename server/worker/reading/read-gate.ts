import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'

import { Fault, type FaultCode } from '../../../core/faults.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Reply } from '../http/replies.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import { retryLater } from '../http/turned-away.ts'
import { readPauseMs } from '../limits.ts'

/** `headers` as Exchange.answer takes them. */
export interface ReadReply extends Reply {
  readonly headers?: string
}

export interface ReadGateOptions {
  readonly onFault: (code: FaultCode) => void
  /** Whether so much selling waits that reading has to give way. */
  readonly isSellingBusy: () => boolean
  /** Reads under way at once. */
  readonly inFlightMax: number
  /** Requests that wait, those under way included; above it 503 at once. */
  readonly waitingMax: number
  /** A reader whose turn comes later than this gets a 503. */
  readonly deadlineMs: number
}

/** What a gate needs of the request. */
export type Reader = Pick<Exchange, 'answer' | 'shed' | 'admittedMs'>

interface Read {
  readonly exchanges: Reader[]
  readonly run: () => ReadReply | Promise<ReadReply>
}

/**
 * What reading may take from selling: few reads at once, each begun in a turn of the event loop of its own, and after a
 * pause while selling is busy; and a bounded number that wait, in the order in which they came. Readers that ask for the
 * same are answered together. A read under way is no such answer: it might be older than what that client has just done.
 */
export class ReadGate {
  readonly #options: ReadGateOptions
  readonly #waiting = new Map<string, Read>()
  #requests = 0
  #inFlight = 0

  constructor(options: ReadGateOptions) {
    this.#options = options
  }

  /** Requests that wait, those under way included. */
  get requests(): number {
    return this.#requests
  }

  /** For Route.refusal, which turns a request away for next to nothing. */
  readonly refusal = (): ShedReason | undefined => {
    return this.#requests >= this.#options.waitingMax ? 'overloaded' : undefined
  }

  /** `key` names what is asked for; `run` reads it, and may throw a Fault. */
  offer(exchange: Reader, key: string, run: () => ReadReply | Promise<ReadReply>): void {
    const refusal = this.refusal()
    if (refusal !== undefined) {
      exchange.shed(refusal)
      return
    }
    this.#requests += 1
    const read = this.#waiting.get(key)
    if (read !== undefined) read.exchanges.push(exchange)
    else this.#waiting.set(key, { exchanges: [exchange], run })
    if (this.#inFlight < this.#options.inFlightMax) void this.#work()
  }

  /** Rejects with what is no Fault: a bug, which ends the process. */
  async #work(): Promise<void> {
    this.#inFlight += 1
    for (let read = this.#takeNext(); read !== undefined; read = this.#takeNext()) {
      await (this.#options.isSellingBusy() ? delay(readPauseMs) : turn())
      const exchanges = read.exchanges.filter((exchange) => this.#isInTime(exchange))
      const reply = exchanges.length === 0 ? undefined : await this.#reply(read)
      for (const exchange of exchanges) if (reply) exchange.answer(reply.head, reply.body, reply.headers)
      this.#requests -= read.exchanges.length
    }
    this.#inFlight -= 1
  }

  #takeNext(): Read | undefined {
    for (const [key, read] of this.#waiting) {
      this.#waiting.delete(key)
      return read
    }
    return undefined
  }

  /** Sheds a reader whose deadline has passed. */
  #isInTime(exchange: Reader): boolean {
    const isInTime = performance.now() - exchange.admittedMs <= this.#options.deadlineMs
    if (!isInTime) exchange.shed('late')
    return isInTime
  }

  async #reply({ run }: Read): Promise<ReadReply> {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#options.onFault(error.code)
      return retryLater(problemOf(error))
    }
  }
}

/** What a reader is told whose read has failed. */
export function problemOf({ code }: Fault): 'overloaded' | 'records_unavailable' | 'unavailable' {
  if (code === 'HC_POSTGRES_BUSY') return 'overloaded'
  return code.startsWith('HC_POSTGRES_') ? 'records_unavailable' : 'unavailable'
}
