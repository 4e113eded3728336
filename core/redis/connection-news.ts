import { redisQuietMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ConnectionChange } from './connection.ts'

export interface ConnectionWords {
  readonly up: string
  readonly down: string
}

/**
 * Tells the log when a connection is lost and when it is back. A master that returns to its cluster turns its clients away for
 * some seconds, and each attempt is a connection that was made and lost: that is one loss, said once for each reason. Its end
 * is said when a connection has stood for a while, with the number of those that had not.
 */
export class ConnectionNews {
  readonly #log: Log
  readonly #words: ConnectionWords
  /** Reasons of the loss that is under way, as they were said. */
  readonly #said = new Set<string>()
  #turnedAway = 0
  #settling: NodeJS.Timeout | undefined

  constructor(log: Log, words: ConnectionWords) {
    this.#log = log
    this.#words = words
  }

  up({ node }: ConnectionChange): void {
    if (this.#turnedAway === 0) this.#over(node)
    else this.#settling = setTimeout(() => this.#over(node), redisQuietMs).unref()
  }

  down({ node, fault, isTurnedAway = false }: ConnectionChange): void {
    this.close()
    if (isTurnedAway) this.#turnedAway += 1
    const { code, message: reason = '' } = fault ?? {}
    const isNew = !this.#said.has(reason)
    this.#said.add(reason)
    this.#log[isNew ? 'warn' : 'debug']({ node, code, reason: fault?.message }, this.#words.down)
  }

  /** Says nothing of what it waits for. */
  close(): void {
    clearTimeout(this.#settling)
  }

  #over(node: string | undefined): void {
    const turnedAway = this.#turnedAway
    this.#log.info({ node, ...(turnedAway > 0 && { turnedAway }) }, this.#words.up)
    this.#turnedAway = 0
    this.#said.clear()
  }
}
