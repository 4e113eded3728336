/** Says when a connection may send. */
export interface Schedule {
  /**
   * The moment from which the request counts that this connection is about to send; `undefined`: it has to wait.
   * Whoever has to wait is woken.
   */
  take(sender: Sender): number | undefined
  /** From now on nobody may send. Answers that are under way still arrive. */
  close(): void
}

export interface Sender {
  wake(): void
}

/** Closed loop: a connection sends as soon as it has its answer. */
export class AsAnswersCome implements Schedule {
  #isOpen = true

  take(): number | undefined {
    return this.#isOpen ? performance.now() : undefined
  }

  close(): void {
    this.#isOpen = false
  }
}

const tickMs = 1
/**
 * A timer fires up to so much later than asked for. By that a request may be late through the generator alone: when a
 * connection was free for it, it counts from its real sending. Any longer wait counts, whoever caused it.
 */
export const timerSlackMs = 2

/** The end is computed from the same numbers as the times that are due, in another order. */
const roundingMs = 1e-3

/**
 * Open loop: request n is due at start + n / rate, whatever has become of those before. When no connection is free it
 * waits and counts from the moment it was due, so that a server that stalls has all the requests of its stall to answer
 * for (coordinated omission).
 */
export class FixedRate implements Schedule {
  readonly #intervalMs: number
  readonly #startMs: number
  readonly #endMs: number
  readonly #idle = new Set<Sender>()
  readonly #timer: NodeJS.Timeout
  #taken = 0
  #isWaking = false
  #isOpen = true

  /**
   * On performance.now()'s clock.
   * @param startMs when the first request is due
   * @param endMs nothing is due from then on, however late it is closed
   */
  constructor(requestsPerSecond: number, startMs: number, endMs = Number.POSITIVE_INFINITY) {
    this.#endMs = endMs - roundingMs
    this.#intervalMs = 1_000 / requestsPerSecond
    this.#startMs = startMs
    this.#timer = setInterval(() => this.#wakeDue(), tickMs)
  }

  /** Requests that are due and have not been sent. */
  get overdue(): number {
    const untilMs = Math.min(performance.now(), this.#endMs)
    return Math.max(0, Math.ceil((untilMs - this.#startMs) / this.#intervalMs) - this.#taken)
  }

  take(sender: Sender): number | undefined {
    if (!this.#isOpen) return undefined
    const nowMs = performance.now()
    const dueMs = this.#dueMs()
    if (dueMs >= this.#endMs) return undefined
    if (dueMs > nowMs) {
      this.#idle.add(sender)
      return undefined
    }
    this.#idle.delete(sender)
    this.#taken += 1
    const wasFree = this.#isWaking || this.#idle.size > 0
    return wasFree && nowMs - dueMs <= timerSlackMs ? nowMs : dueMs
  }

  close(): void {
    this.#isOpen = false
    clearInterval(this.#timer)
  }

  #dueMs(): number {
    return this.#startMs + this.#taken * this.#intervalMs
  }

  /** Those that have been idle the longest first: else some connections would never be used. */
  #wakeDue(): void {
    this.#isWaking = true
    for (const sender of this.#idle) {
      if (this.#dueMs() > performance.now()) break
      this.#idle.delete(sender)
      sender.wake()
    }
    this.#isWaking = false
  }
}
