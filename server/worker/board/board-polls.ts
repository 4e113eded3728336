import type { Exchange } from '../http/exchange.ts'
import { replyHead } from '../http/replies.ts'
import { boardPollsPerSecondMax, boardPollsWaitingMax } from '../limits.ts'
import type { BoardFeed } from './board-feed.ts'

export const boardStatePath = '/board/state'

const head = replyHead(200, '200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store')

/**
 * Whole states for pages whose WebSocket is blocked, as a viewer is sent one when it comes. An answer is out of the
 * worker's memory, and there are so many a second at most: a crowd behind such a proxy must not cost what selling needs.
 */
export class BoardPolls {
  readonly #feed: Pick<BoardFeed, 'poll' | 'state'>
  #waiting: Exchange[] = []
  #second = 0
  #taken = 0

  constructor(feed: Pick<BoardFeed, 'poll' | 'state'>) {
    this.#feed = feed
  }

  readonly handle = (exchange: Exchange): void => {
    if (!this.#takes(exchange.startedMs)) {
      exchange.shed('overloaded')
      return
    }
    const state = this.#feed.poll()
    if (state !== undefined) exchange.answer(head, state)
    else if (this.#waiting.length < boardPollsWaitingMax) this.#waiting.push(exchange)
    else exchange.shed('overloaded')
  }

  /** The feed has looked. What it could not read now is asked for again, later. */
  answerWaiting(): void {
    if (this.#waiting.length === 0) return
    const { state } = this.#feed
    for (const exchange of this.#waiting.splice(0)) {
      if (state === undefined) exchange.unavailable()
      else exchange.answer(head, state)
    }
  }

  #takes(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1_000)
    if (second !== this.#second) this.#taken = 0
    this.#second = second
    this.#taken += 1
    return this.#taken <= boardPollsPerSecondMax
  }
}
