import { eventually } from '../helpers/eventually.ts'
import type { Attempt } from './attempt.ts'
import type { Conversation } from './conversation.ts'

/** Connections kept: far below what an address may have. */
const keptMax = 300
/** uWebSockets.js closes after 10 s without a whole request, and looks every 4 s: a bound that a busy machine keeps as well. */
const closedWithinMs = 60_000

interface Kept {
  readonly conversation: Conversation
  readonly attempt: Attempt
  readonly sinceMs: number
}

/** Connections that their clients leave as they are: the server has to close every one of them, and soon. */
export class Limbo {
  #kept: Kept[] = []

  get hasRoom(): boolean {
    return this.#kept.length < keptMax
  }

  keep(conversation: Conversation, attempt: Attempt): void {
    this.#kept.push({ conversation, attempt, sinceMs: performance.now() })
  }

  /** Forgets those that are closed, and answers those that are not and should be. */
  overdue(): Attempt[] {
    const nowMs = performance.now()
    const open = this.#kept.filter(({ conversation }) => !conversation.isClosed)
    const late = open.filter(({ sinceMs }) => nowMs - sinceMs > closedWithinMs)
    // A WebSocket may stay for longer.
    for (const { conversation } of late) conversation.destroy()
    this.#kept = open.filter((kept) => !late.includes(kept))
    return late.flatMap(({ attempt, conversation }) => (conversation.statuses.includes(101) ? [] : [attempt]))
  }

  /** Waits until all are closed or overdue. */
  async empty(): Promise<Attempt[]> {
    const late: Attempt[] = []
    await eventually(
      () => {
        late.push(...this.overdue())
        return this.#kept.length === 0
      },
      { deadlineMs: closedWithinMs + 10_000, what: 'the end of all connections' },
    )
    return late
  }
}
