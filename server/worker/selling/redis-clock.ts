/**
 * Redis' clock as this process sees it: sales open and close by it, and the clocks of the machines around it don't
 * matter. Between replies it goes on with the monotonic clock, so that nobody who sets this machine's clock moves it.
 */
export class RedisClock {
  #offsetMs: number | undefined

  /** `nowMs` of a reply that has just come. What the reply took to travel is what the estimate is late by. */
  observe(nowMs: number): void {
    this.#offsetMs = nowMs - performance.now()
  }

  /** ms since the epoch; `undefined` before the first reply. */
  now(): number | undefined {
    return this.#offsetMs === undefined ? undefined : this.#offsetMs + performance.now()
  }
}
