import { signalEchoMs } from '../../core/limits.ts'

/** Ctrl+C: the first one ends the load and keeps what was counted, a second one ends everything. */
export class Interruption {
  readonly #stop = new AbortController()
  readonly #abort = new AbortController()
  #firstMs: number | undefined

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, this.#heard)
  }

  get stop(): AbortSignal {
    return this.#stop.signal
  }

  get abort(): AbortSignal {
    return this.#abort.signal
  }

  close(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#heard)
  }

  readonly #heard = (): void => {
    const nowMs = performance.now()
    this.#firstMs ??= nowMs
    // npm passes on what the terminal has sent to the whole group already: the same press arrives twice.
    if (this.#stop.signal.aborted && nowMs - this.#firstMs > signalEchoMs) this.#abort.abort()
    this.#stop.abort()
  }
}
