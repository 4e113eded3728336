import { signalEchoMs } from './limits.ts'

export interface InterruptHandlers {
  /** It was asked to end. */
  readonly onFirst: () => void
  /** It was asked again. May be called more than once. */
  readonly onAgain: (signal: NodeJS.Signals) => void
}

/** Ctrl+C and SIGTERM, for programs of which the first one asks for an orderly end and a second one for an end at once. */
export class Interrupts {
  readonly #handlers: InterruptHandlers
  #firstMs: number | undefined

  constructor(handlers: InterruptHandlers) {
    this.#handlers = handlers
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, this.#heard)
  }

  /** From now on a signal ends the process, as it does by default. */
  close(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#heard)
  }

  readonly #heard = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now()
    const firstMs = this.#firstMs
    this.#firstMs ??= nowMs
    if (firstMs === undefined) this.#handlers.onFirst()
    // npm passes on what the terminal has sent to the whole group already: the same press arrives twice.
    else if (nowMs - firstMs > signalEchoMs) this.#handlers.onAgain(signal)
  }
}
