import type { Scope } from '../helpers/scope.ts'

/** A scope outside of node:test. What was acquired last is released first. */
export class Releases implements Scope {
  readonly #releases: (() => void | Promise<void>)[] = []

  after(release: () => void | Promise<void>): void {
    this.#releases.push(release)
  }

  /** Releases everything, also what comes after a failure; throws the first one. */
  async release(): Promise<void> {
    const failures: unknown[] = []
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) {
      try {
        await release()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
