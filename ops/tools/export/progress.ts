import { exportSayMs } from '../../limits.ts'

/** Says how far an export is, once a second. */
export class Progress {
  readonly #say: (text: string) => void
  #done = 0
  #saidMs = performance.now()

  constructor(say: (text: string) => void) {
    this.#say = say
  }

  add(rows: number, total: number): void {
    this.#done += rows
    if (performance.now() - this.#saidMs < exportSayMs) return
    this.#saidMs = performance.now()
    this.#say(`${this.#done} of ${total} purchases`)
  }
}
