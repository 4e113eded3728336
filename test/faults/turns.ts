/** What a fault needs for itself while it lasts. */
export type Target = 'http' | 'persister' | 'primary' | 'redis' | 'postgres' | 'network' | 'clock'

/** Lets actions on the same target take turns, in the order in which they come; all others go on at the same time. */
export class Turns {
  readonly #last = new Map<Target, Promise<unknown>>()

  async take<Result>(targets: readonly Target[], action: () => Promise<Result>): Promise<Result> {
    const before = targets.map((target) => this.#last.get(target) ?? Promise.resolve())
    const turn = Promise.all(before).then(action)
    const over = turn.catch(() => undefined) // its own caller hears of it
    for (const target of targets) this.#last.set(target, over)
    return await turn
  }
}
