import { Interrupts } from '../../../core/interrupts.ts'

/** The move was broken off before a key had moved: somebody has pressed Ctrl+C. */
export class BrokenOff extends Error {}

/** Ctrl+C: the first asks to go back, or to finish where that is the shorter way; a second one ends everything at once. */
export class Interruption {
  readonly #interrupts: Interrupts
  #isAsked = false

  constructor(onFirst: () => void) {
    this.#interrupts = new Interrupts({
      onFirst: () => {
        this.#isAsked = true
        onFirst()
      },
      onAgain: (signal) => {
        this.close()
        process.kill(process.pid, signal)
      },
    })
  }

  get isAsked(): boolean {
    return this.#isAsked
  }

  /** @throws BrokenOff */
  throwIfAsked(): void {
    if (this.isAsked) throw new BrokenOff()
  }

  close(): void {
    this.#interrupts.close()
  }
}
