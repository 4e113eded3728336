import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Attempt } from './attempt.ts'

/** How long a client waits for an answer that must come. The server itself is never so slow. */
const answerMsMax = 60_000
/** How long it waits where silence is an answer as well: the server closes such a connection after 8 to 12 s. */
export const patienceMsUsual = 25
/** Statuses that nothing a client does may cause. 503 is none of them: it is the answer to too much work. */
const isFault = (status: number) => status >= 500 && status !== 503 && status !== 505

/** A connection of the fuzzer and all that has come on it since `take`. */
export class Conversation {
  readonly #socket: Socket
  #received = ''
  #isClosed = false
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#received += text
      this.#wake?.()
    })
    socket.on('error', () => undefined) // a reset is a way to be closed
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
  }

  static open(port: number): Promise<Conversation> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Conversation(socket.off('error', reject))))
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get statuses(): number[] {
    return [...this.#received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  }

  destroy(): void {
    if (this.#isClosed) return
    // Node.js can't reset a socket that is just being shut down, and would keep it open for ever.
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  /** Does what the attempt says, and says what is wrong with what came of it. */
  async take(attempt: Attempt, patienceMs = patienceMsUsual): Promise<string | undefined> {
    this.#received = ''
    for (const [n, piece] of attempt.pieces.entries()) {
      if (n > 0) await nextTurn()
      if (!this.#isClosed) this.#socket.write(piece)
    }
    if (attempt.leaves) {
      // With a reset, or in good manners.
      if (attempt.number % 2 === 0) this.destroy()
      else this.#socket.destroySoon()
      return undefined
    }
    return attempt.expects === 'answer' ? this.#answer(attempt) : this.#whatever(attempt, patienceMs)
  }

  async #answer({ statuses, isHead = false }: Attempt): Promise<string | undefined> {
    await this.#until(() => this.#isClosed || answerLength(this.#received, isHead) !== undefined, answerMsMax)
    const length = answerLength(this.#received, isHead)
    if (length === undefined) return `no answer${this.#isClosed ? ', closed' : ''}: ${JSON.stringify(this.#received)}`
    if (length < this.#received.length) return `more than an answer: ${JSON.stringify(this.#received)}`
    const [status = 0] = this.statuses
    if (status !== 503 && !statuses.includes(status)) return `answered ${status}, not one of ${statuses.join()}`
    return this.#echo()
  }

  async #whatever({ expects }: Attempt, patienceMs: number): Promise<string | undefined> {
    await this.#until(() => this.#isClosed || this.statuses.some((status) => status >= 200), patienceMs)
    const fault = this.statuses.find(isFault)
    if (fault !== undefined) return `answered ${fault}`
    const accepted = this.statuses.find((status) => status >= 200 && status < 400)
    if (expects === 'refusal' && accepted !== undefined) return `accepted with ${accepted}`
    if (this.#received !== '' && !this.#received.startsWith('HTTP/1.1 '))
      return `no HTTP: ${JSON.stringify(this.#received)}`
    return this.#echo()
  }

  /** Problems are plain ASCII on one line: nothing of what was sent comes back. */
  #echo(): string | undefined {
    const [, body = ''] = /^HTTP\/1\.1 4\d\d .*?\r\n\r\n(.*)$/s.exec(this.#received) ?? []
    return /[^\x20-\x7e\r\n]/.test(body) ? `answered with raw bytes: ${JSON.stringify(body)}` : undefined
  }

  async #until(condition: () => boolean, ms: number): Promise<void> {
    if (condition()) return
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, ms)
      this.#wake = () => {
        if (!condition()) return
        clearTimeout(late)
        resolve()
      }
    })
    this.#wake = undefined
  }
}

/** The length of the first answer of what was received, once it is whole. */
function answerLength(received: string, isHead: boolean): number | undefined {
  const headEnd = received.indexOf('\r\n\r\n') + 4
  if (headEnd < 4) return undefined
  const bodyLength = isHead ? 0 : Number(/^content-length: *(\d+)/im.exec(received.slice(0, headEnd))?.[1] ?? 0)
  return received.length >= headEnd + bodyLength ? headEnd + bodyLength : undefined
}
