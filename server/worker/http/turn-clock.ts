/**
 * A monotonic clock in ms that is read once a turn of the event loop: requests that the kernel delivered together arrive
 * together. A turn under load takes a millisecond or two, and so coarse are the durations measured with it.
 */
export class TurnClock {
  #nowMs = 0
  #isFresh = false

  now(): number {
    return this.#isFresh ? this.#nowMs : this.refresh()
  }

  /** Reads the clock anew: for a caller that knows that the turn has been long already. */
  refresh(): number {
    this.#nowMs = performance.now()
    if (!this.#isFresh) {
      this.#isFresh = true
      setImmediate(this.#expire)
    }
    return this.#nowMs
  }

  readonly #expire = (): void => {
    this.#isFresh = false
  }
}
