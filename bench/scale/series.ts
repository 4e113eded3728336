import { type MeasuredRun, measuredRun } from './measured-run.ts'
import type { RunOrder } from './orders.ts'
import type { Place } from './place.ts'

/** What is measured at every place, in turn. */
export interface Case {
  readonly name: string
  readonly order: Omit<RunOrder, 'kind' | 'sale' | 'seed'>
  readonly appendOnly: 'yes' | 'no'
}

/** Case and place -> its runs, one a round. */
export class Series {
  readonly #runs = new Map<string, MeasuredRun[]>()
  #sale: number

  constructor(firstSale: number) {
    this.#sale = firstSale
  }

  /** Each round goes through the places in another order. */
  async round(places: readonly Place[], one: Case, round: number): Promise<void> {
    for (let at = 0; at < places.length; at++) {
      const place = places[(at + round) % places.length] as Place
      const sale = this.#sale++
      const results = await place.run({ ...one.order, kind: 'run', sale, seed: 1 + round })
      const runs = this.of(one, place)
      runs.push(measuredRun(results, place.plan.shards))
      this.#runs.set(key(one, place), runs)
    }
  }

  /** Commands that got no decision. */
  get undecided(): number {
    return [...this.#runs.values()].flat().reduce((sum, run) => sum + run.undecided, 0)
  }

  of(one: Case, place: Place): MeasuredRun[] {
    return this.#runs.get(key(one, place)) ?? []
  }
}

function key(one: Case, place: Place): string {
  return `${one.name} at ${place.plan.name}`
}
