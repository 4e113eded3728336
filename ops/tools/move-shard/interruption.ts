import { signalEchoMs } from '../../../core/limits.ts'

/** The move was broken off before a key had moved: somebody has pressed Ctrl+C. */
export class BrokenOff extends Error {}

/** Ctrl+C: the first asks to go back, or to finish where that is the shorter way; a second one ends everything at once. */
export class Interruption {
  readonly #onFirst: () => void
  #firstMs: number | undefined

  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, this.#heard)
  }

  get isAsked(): boolean {
    return this.#firstMs !== undefined
  }

  /** @throws BrokenOff */
  throwIfAsked(): void {
    if (this.isAsked) throw new BrokenOff()
  }

  close(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#heard)
  }

  readonly #heard = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now()
    const firstMs = this.#firstMs
    this.#firstMs ??= nowMs
    if (firstMs === undefined) {
      this.#onFirst()
      return
    }
    // npm passes on what the terminal has sent to the whole group already: the same press arrives twice.
    if (nowMs - firstMs < signalEchoMs) return
    this.close()
    process.kill(process.pid, signal)
  }
}
