// The sale by plain requests, for pages whose WebSocket something on the way blocks.

const pauseMs = 2_500
const pauseMsMax = 40_000
const patienceMs = 10_000

export class Polls {
  #take
  #isRunning = false
  #pauseMs = pauseMs
  #timer

  /** @param {(state: ArrayBuffer) => void} take gets a message as a WebSocket brings one when it opens */
  constructor(take) {
    this.#take = take
  }

  start() {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#pauseMs = pauseMs
    void this.#ask()
  }

  stop() {
    this.#isRunning = false
    clearTimeout(this.#timer)
  }

  /** After a refusal it waits twice as long as before, and as long as it was told to; never as long as all others do. */
  async #ask() {
    let toldMs = 0
    let state
    try {
      const reply = await fetch('/board/state', { cache: 'no-store', signal: AbortSignal.timeout(patienceMs) })
      toldMs = Number(reply.headers.get('Retry-After') ?? 0) * 1_000
      if (reply.ok) state = await reply.arrayBuffer()
    } catch {
      // No answer: asked again, later.
    }
    if (!this.#isRunning) return
    this.#pauseMs = state === undefined ? Math.min(this.#pauseMs * 2, pauseMsMax) : pauseMs
    this.#timer = setTimeout(() => void this.#ask(), Math.max(this.#pauseMs, toldMs) * (0.75 + Math.random() / 2))
    if (state !== undefined) this.#take(state)
  }
}
