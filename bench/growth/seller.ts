import { afterCode, BatchWriter, DecisionReader } from '../../core/decisions.ts'
import { NonceSource } from '../../core/ids.ts'
import type { Outcome } from '../../core/outcomes.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { msPerSecond } from '../../core/time.ts'
import { type Stage, saleIntervalSeconds } from './stage.ts'

/** Near the most that an HTTP worker sends at once: a call's fixed share is next to nothing then. */
const commandsPerBatch = 500
/** Redis has the next when it is done with one. */
const batchesAtOnce = 4
/** What is held and not purchased yet at a moment: ten buyers can have it. */
const itemsAtOnce = commandsPerBatch * batchesAtOnce

/** Items of a sale that stand together. */
export interface Range {
  /** Index of the first. */
  readonly first: number
  readonly count: number
}

/** Sells past the HTTP worker, by the function that decides: a million items in some tens of seconds. */
export class Seller {
  readonly #store: SaleStore
  readonly #sale: number
  readonly #signal: AbortSignal
  readonly #nonces = new NonceSource()

  constructor({ store, sale }: Pick<Stage, 'store' | 'sale'>, signal: AbortSignal) {
    this.#store = store
    this.#sale = sale
    this.#signal = signal
  }

  async hold(range: Range, buyerOf: (item: number) => string): Promise<void> {
    await this.#inSteps(range, async (step) => {
      await this.#take(step, buyerOf)
    })
  }

  async sell(range: Range, buyerOf: (item: number) => string): Promise<void> {
    await this.#inSteps(range, async (step) => await this.purchase(step.first, await this.#take(step, buyerOf)))
  }

  async holdAndRelease(range: Range, buyerOf: (item: number) => string): Promise<void> {
    await this.#inSteps(range, async (step) => {
      const nonces = await this.#take(step, buyerOf)
      await this.release(nonces.map((nonce, n) => ({ item: step.first + n, nonce })))
    })
  }

  /** @param nonces of the holds, one an item from the first on */
  async purchase(first: number, nonces: readonly string[]): Promise<void> {
    await this.#decide('purchased', nonces.length, (batch, n) =>
      batch.add(this.#sale, String(first + n), nonces[n] as string, ''),
    )
  }

  async release(holds: readonly { readonly item: number; readonly nonce: string }[]): Promise<void> {
    const mark = afterCode({ isRelease: true })
    await this.#decide('released', holds.length, (batch, n) => {
      const { item, nonce } = holds[n] as (typeof holds)[number]
      batch.add(this.#sale, String(item), `${nonce}${mark}`, '')
    })
  }

  /** Returns the nonces. */
  async #take({ first, count }: Range, buyerOf: (item: number) => string): Promise<string[]> {
    const nonces = Array.from({ length: count }, () => this.#nonces.next())
    await this.#decide('held', count, (batch, n) =>
      batch.add(this.#sale, String(first + n), nonces[n] as string, buyerOf(first + n)),
    )
    return nonces
  }

  async #inSteps({ first, count }: Range, work: (step: Range) => Promise<void>): Promise<void> {
    for (let done = 0; done < count; done += itemsAtOnce) {
      this.#signal.throwIfAborted()
      await work({ first: first + done, count: Math.min(itemsAtOnce, count - done) })
    }
  }

  /** @throws when one of so many commands is decided otherwise */
  async #decide(expected: Outcome, count: number, add: (batch: BatchWriter, n: number) => void): Promise<void> {
    const decideSome = async (start: number): Promise<void> => {
      const batch = new BatchWriter(saleIntervalSeconds * msPerSecond)
      for (let n = start; n < Math.min(count, start + commandsPerBatch); n++) add(batch, n)
      const decisions = new DecisionReader((await this.#store.decide(batch.encode())).results)
      while (decisions.next())
        if (decisions.outcome !== expected)
          throw new Error(`what should be ${expected} was decided as ${decisions.outcome}`)
    }
    const starts = Array.from({ length: Math.ceil(count / commandsPerBatch) }, (_, at) => at * commandsPerBatch)
    const queue = starts.values()
    const decideInTurn = async (): Promise<void> => {
      for (const start of queue) await decideSome(start)
    }
    await Promise.all(Array.from({ length: batchesAtOnce }, decideInTurn))
  }
}
