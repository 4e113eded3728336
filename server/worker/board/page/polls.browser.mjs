// The sale by plain requests, for pages whose WebSocket something on the way blocks.

/** As much behind as a glance forgives, and a tenth of what a worker answers if some hundred pages have to poll. */
const pauseMs = 2_500
/** A server in trouble hears of a page twice a minute; its reader sees a sale that is back within one. */
const pauseMsMax = 40_000
/** An answer comes out of the worker's memory: after this the connection is dead. */
const patienceMs = 10_000

export class Polls {
  #take
  #isRunning = false
  /** Counts the starts: an answer to a question of an earlier one is nobody's. */
  #round = 0
  #pauseMs = pauseMs
  #timer

  /** @param {(state: ArrayBuffer) => void} take gets a message as a WebSocket brings one when it opens */
  constructor(take) {
    this.#take = take
  }

  start() {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#round += 1
    this.#pauseMs = pauseMs
    void this.#ask()
  }

  stop() {
    this.#isRunning = false
    clearTimeout(this.#timer)
  }

  /** After a refusal it waits twice as long as before, and as long as it was told to; never as long as all others do. */
  async #ask() {
    const round = this.#round
    let toldMs = 0
    let state
    try {
      const reply = await fetch('/board/state', { cache: 'no-store', signal: AbortSignal.timeout(patienceMs) })
      toldMs = Number(reply.headers.get('Retry-After') ?? 0) * 1_000
      if (reply.ok) state = await reply.arrayBuffer()
    } catch {
      // No answer: asked again, later.
    }
    if (!this.#isRunning || round !== this.#round) return
    this.#pauseMs = state === undefined ? Math.min(this.#pauseMs * 2, pauseMsMax) : pauseMs
    const waitMs = Math.max(this.#pauseMs, toldMs) + (Math.random() * this.#pauseMs) / 2
    this.#timer = setTimeout(() => void this.#ask(), waitMs)
    if (state !== undefined) this.#take(state)
  }
}
