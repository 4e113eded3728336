import { Interrupts } from '../../core/interrupts.ts'

/** Ctrl+C: the first one ends the load and keeps what was counted, a second one ends everything. */
export class Interruption {
  readonly #stop = new AbortController()
  readonly #abort = new AbortController()
  readonly #interrupts = new Interrupts({ onFirst: () => this.#stop.abort(), onAgain: () => this.#abort.abort() })

  get stop(): AbortSignal {
    return this.#stop.signal
  }

  get abort(): AbortSignal {
    return this.#abort.signal
  }

  close(): void {
    this.#interrupts.close()
  }
}
