/**
 * serving: all is well. retiring: each connection is closed after its next answer, and its client finds another worker.
 * draining: the same, and the whole server is going. stopping: the same, but what comes is turned away.
 */
export type PhaseName = 'serving' | 'retiring' | 'draining' | 'stopping'

/** Where an HTTP worker is on its way out: the server moves it, whoever judges the worker's health reads it. */
export class Phase {
  name: PhaseName = 'serving'

  /** The server as a whole is going; not while only this worker makes room for another. */
  get isDraining(): boolean {
    return this.name === 'draining' || this.name === 'stopping'
  }
}
