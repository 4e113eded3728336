import { connect, type Socket } from 'node:net'
import type { Errand } from './errand.ts'
import type { PhaseRecord } from './phase-record.ts'

/** A head and the body of an answer: all of them are shorter. */
const answerBytesMax = 4_096
const closingBrace = '}'
const statusAt = 9

export interface ConnectionEvents {
  answered(connection: Connection, status: number, text: string): void
  lost(connection: Connection): void
}

/**
 * A client's connection, with one request at a time. It does as little as it can: the generator shares a machine with
 * the server and has to send several times as much as that can serve.
 */
export class Connection {
  /** Of the request that is out. */
  errand: Errand | undefined
  phase: PhaseRecord | undefined
  dueMs = 0
  sentMs = 0
  readonly #socket: Socket
  readonly #events: ConnectionEvents
  #partial = ''

  /** @param from the address that it comes from; `undefined`: the system's choice */
  constructor(url: URL, events: ConnectionEvents, from: string | undefined) {
    this.#events = events
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      noDelay: true,
      ...(from !== undefined && { localAddress: from }),
      onread: {
        buffer: Buffer.alloc(answerBytesMax),
        callback: (length, buffer) => {
          this.#received((buffer as Buffer).toString('latin1', 0, length))
          return true
        },
      },
    })
    this.#socket.on('error', () => undefined) // what matters of it is that it closes
    this.#socket.once('close', () => events.lost(this))
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Every body is one flat JSON object: its brace is the end of the answer. */
  #received(text: string): void {
    const whole = this.#partial === '' ? text : this.#partial + text
    this.#partial = whole.endsWith(closingBrace) ? '' : whole
    if (this.#partial === '') this.#events.answered(this, Number(whole.slice(statusAt, statusAt + 3)), whole)
  }
}
