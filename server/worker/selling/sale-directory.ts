import { salesKnownMax } from '../../../core/limits.ts'
import { LastKept } from '../last-kept.ts'

/**
 * Over how many shards each sale is spread, as far as this worker has heard: of those that are due from the rotation, of
 * others from shards that were asked in vain. That number never changes, so nothing in here goes out of date.
 */
export class SaleDirectory {
  /** What the rotation looks after. */
  readonly #due = new Map<number, number>()
  readonly #others = new LastKept<number, number>(salesKnownMax)

  /** `undefined`: it is not known. Never guess then. */
  shardsOf(sale: number): number | undefined {
    return this.#due.get(sale) ?? this.#others.get(sale)
  }

  /** The sale is open, and stays in here until it is past. */
  opened(sale: number, shards: number): void {
    this.#due.set(sale, shards)
  }

  /** From now on the sale may be forgotten when many others are asked for. */
  past(sale: number): void {
    const shards = this.#due.get(sale)
    this.#due.delete(sale)
    if (shards !== undefined) this.#others.keep(sale, shards)
  }

  /** Some shard that lists the sale has said so. */
  learn(sale: number, shards: number): void {
    if (!this.#due.has(sale)) this.#others.keep(sale, shards)
  }
}
