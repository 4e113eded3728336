/**
 * serving: all is well. retiring: each connection is closed after its next answer, and its client finds another worker.
 * draining: the same, and the whole server is going. stopping: the same, but what comes is turned away.
 */
const names = ['serving', 'retiring', 'draining', 'stopping'] as const
type PhaseName = (typeof names)[number]

/** Where an HTTP worker is on its way out: the server moves it, whoever judges the worker's health reads it. */
export class Phase {
  #name: PhaseName = 'serving'

  get name(): PhaseName {
    return this.#name
  }

  /** Only forward: a worker that retires when its primary dies stops, and stays stopping when its retiring has come to an end. */
  move(to: PhaseName): void {
    if (names.indexOf(to) > names.indexOf(this.#name)) this.#name = to
  }

  /** The server as a whole is going; not while only this worker makes room for another. */
  get isDraining(): boolean {
    return this.#name === 'draining' || this.#name === 'stopping'
  }
}
