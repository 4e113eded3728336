import { SeededRandom } from '../harness/seeded-random.ts'

/** The sale on offer, as `GET /sale` names it. */
export interface Sale {
  readonly id: number
  readonly items: number
}

export interface ShopOptions {
  readonly sale: Sale
  readonly users: number
  readonly fresh: number
  readonly hot: number
  /** This generator's number, from 0, and how many there are: each takes its own share of the fresh items. */
  readonly generator: number
  readonly generators: number
  readonly seed: number
}

/** What one generator's buyers know of the sale: who they are and which items they ask for. */
export class Shop {
  readonly #options: ShopOptions
  readonly #random: SeededRandom
  #sale: Sale
  #walk: Walk
  #asked = 0
  /** When the fresh items were first used up, so that the walk through them began again (performance.now()). */
  usedUpMs: number | undefined

  constructor(options: ShopOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed + options.generator)
    this.#sale = options.sale
    this.#walk = this.#newWalk()
  }

  get saleId(): number {
    return this.#sale.id
  }

  /** The sale has changed: all its items are fresh. */
  open(sale: Sale): void {
    this.#sale = sale
    this.#walk = this.#newWalk()
    this.#asked = 0
  }

  pickUser(): string {
    return `user-${this.#random.below(this.#options.users)}`
  }

  /** The index of an item, from 1. */
  pickItem(): number {
    const { fresh, hot } = this.#options
    if (hot > 0) return this.#random.below(hot) + 1
    if (fresh === 0) return this.#random.below(this.#sale.items) + 1
    if (this.#asked > 0 && this.#random.next() >= fresh) return this.#itemAt(this.#random.below(this.#asked))
    return this.#nextFresh()
  }

  /** The same in all generators: together they walk one way, each on its own share of it. */
  #newWalk(): Walk {
    return new Walk(this.#sale.items, new SeededRandom(this.#options.seed + this.#sale.id).next())
  }

  #nextFresh(): number {
    const { generator, generators } = this.#options
    if (this.#asked * generators + generator >= this.#sale.items) {
      this.usedUpMs ??= performance.now()
      this.#asked = 0
    }
    return this.#itemAt(this.#asked++)
  }

  #itemAt(n: number): number {
    const { generator, generators } = this.#options
    return this.#walk.itemAt(n * generators + generator)
  }
}

/** Visits every item once, scattered: items asked for one after the other lie far apart. */
export class Walk {
  readonly #items: number
  readonly #stride: number
  readonly #start: number

  /** @param start where it begins, from 0 to below 1: generators that walk one sale together need the same */
  constructor(items: number, start: number) {
    this.#items = items
    this.#start = Math.floor(start * items)
    let stride = Math.max(1, Math.round(items * 0.618))
    while (greatestCommonDivisor(stride, items) !== 1) stride += 1
    this.#stride = stride
  }

  /** The n-th item (from 0); after all of them it begins again. Exact: the product stays below 2^53. */
  itemAt(n: number): number {
    return ((this.#start + (n % this.#items) * this.#stride) % this.#items) + 1
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
