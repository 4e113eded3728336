// The generator: clients that send when their requests are due, whatever became of those before. Its orders come as
// messages, and after each the results go back.

import { setTimeout as delay } from 'node:timers/promises'
import { Connection, type ConnectionEvents } from './connection.ts'
import { Errands, type Stock } from './errand.ts'
import { type Phase, PhaseRecord, type PhaseResult } from './phase-record.ts'
import { type Slice, Slices } from './slices.ts'

export interface Opening {
  readonly url: string
  readonly stock: Stock
  readonly connections: number
  /** The address that they come from; without it the system's choice. */
  readonly from?: string
}

export type ToGenerator =
  | ({ readonly type: 'open' } & Opening)
  | { readonly type: 'run'; readonly phases: readonly Phase[] }

export type FromGenerator =
  | { readonly type: 'ready' }
  | { readonly type: 'phase'; readonly name: string }
  | {
      readonly type: 'ran'
      readonly results: readonly PhaseResult[]
      readonly slices: readonly Slice[]
      readonly isUsedUp: boolean
    }

const tickMs = 1
/** A client whose connection broke comes back after so long. */
const reconnectMs = 100
/** How long the last answers are waited for. */
const lastAnswersMs = 5_000
const standstillMsMax = 5_000

class Clients implements ConnectionEvents {
  readonly #url: URL
  readonly #from: string | undefined
  readonly #errands: Errands
  /** Those that have been idle the longest first: the server closes one that is silent for long. */
  readonly #idle = new Set<Connection>()
  #slices = new Slices(0)
  #record: PhaseRecord | undefined
  #startMs = 0
  /** Requests that are out. */
  #out = 0

  constructor({ url, stock, connections, from }: Opening) {
    this.#url = new URL(url)
    this.#from = from
    this.#errands = new Errands(stock, this.#url.host)
    for (let n = 0; n < connections; n++) this.#connect()
  }

  async run(phases: readonly Phase[]): Promise<void> {
    this.#slices = new Slices(performance.now())
    const records: PhaseRecord[] = []
    for (const phase of phases) {
      const record = new PhaseRecord(phase)
      records.push(record)
      this.#record = record
      this.#startMs = performance.now()
      const endMs = this.#startMs + phase.seconds * 1_000
      tell({ type: 'phase', name: phase.name })
      // While all clients still wait for their answers of the phase before, this one has not begun.
      while (performance.now() < (record.sent === 0 ? endMs + standstillMsMax : endMs)) {
        this.#sendDue()
        await delay(tickMs)
      }
      // What nobody could send in time is given up: the clients of the next phase are others.
      record.due = phase.rate === 0 ? record.sent : Math.floor(phase.rate * phase.seconds)
      record.end()
    }
    this.#record = undefined
    const deadlineMs = performance.now() + lastAnswersMs
    while (this.#out > 0 && performance.now() < deadlineMs) await delay(tickMs)
    const slices = this.#slices.taken(performance.now())
    tell({ type: 'ran', results: records.map((each) => each.result()), slices, isUsedUp: this.#errands.isUsedUp })
  }

  answered(connection: Connection, status: number, text: string): void {
    const nowMs = performance.now()
    const { phase, errand, dueMs, sentMs } = connection
    if (phase === undefined || errand === undefined) return
    this.#out -= 1
    phase.answered(status, { sinceDueMs: nowMs - dueMs, sinceSentMs: nowMs - sentMs })
    if (status === 200) {
      this.#slices.accepted(nowMs, nowMs - dueMs)
      if ('item' in errand) this.#errands.held(codeIn(text))
    } else if (status === 503) {
      this.#slices.shed(nowMs)
      this.#errands.turnedAway(errand)
    }
    connection.errand = undefined
    if (!this.#sendOn(connection, nowMs)) this.#idle.add(connection)
  }

  lost(connection: Connection): void {
    if (connection.errand !== undefined && connection.phase !== undefined) {
      this.#out -= 1
      connection.phase.lost += 1
    }
    this.#idle.delete(connection)
    setTimeout(() => this.#connect(), reconnectMs)
  }

  #connect(): void {
    this.#idle.add(new Connection(this.#url, this, this.#from))
  }

  #sendDue(): void {
    for (const connection of this.#idle) {
      if (!this.#sendOn(connection, performance.now())) return
      this.#idle.delete(connection)
    }
  }

  /** Sends the request that is due, if there is one. */
  #sendOn(connection: Connection, nowMs: number): boolean {
    const record = this.#record
    if (record === undefined || this.#out >= record.phase.connections) return false
    const { rate, seconds } = record.phase
    const afterMs = rate === 0 ? nowMs - this.#startMs : (record.sent * 1_000) / rate
    if (this.#startMs + afterMs > nowMs || (record.sent > 0 && afterMs >= seconds * 1_000)) return false
    record.sent += 1
    const errand = this.#errands.next()
    connection.errand = errand
    connection.phase = record
    connection.dueMs = this.#startMs + afterMs
    connection.sentMs = nowMs
    this.#out += 1
    connection.send(this.#errands.requestText(errand))
    return true
  }
}

function codeIn(text: string): string {
  const start = text.indexOf('"code":"') + 8
  return text.slice(start, text.indexOf('"', start))
}

function tell(message: FromGenerator): void {
  process.send?.(message)
}

let clients: Clients | undefined

process.on('message', (message: ToGenerator) => {
  if (message.type === 'open') clients = new Clients(message)
  else void clients?.run(message.phases)
})
process.on('disconnect', () => process.exit())
tell({ type: 'ready' })
