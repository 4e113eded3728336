import { progressSayMs } from '../limits.ts'

/** Says how far it is, once a second. */
export class Progress {
  readonly #say: (text: string) => void
  readonly #what: string
  #done = 0
  #saidMs = performance.now()

  /** @param what is counted, in the plural */
  constructor(what: string, say: (text: string) => void) {
    this.#what = what
    this.#say = say
  }

  add(count: number, total: number): void {
    this.#done += count
    if (performance.now() - this.#saidMs < progressSayMs) return
    this.#saidMs = performance.now()
    this.#say(`${this.#done} of ${total} ${this.#what}`)
  }
}
