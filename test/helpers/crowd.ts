import { setTimeout as delay } from 'node:timers/promises'
import { SeededRandom } from '../../bench/harness/seeded-random.ts'
import type { HttpClient, HttpReply } from './http-client.ts'
import { checkoutPath, purchasePath } from './items.ts'
import type { Ledger } from './ledger.ts'

/** A client that was turned away comes back after so long: sooner than it is asked to, for the sake of the test's length. */
const retryDelayMs = 50

export interface CrowdOptions {
  readonly http: HttpClient
  readonly ledger: Ledger
  /** As GET /sale names them. */
  readonly sale: { readonly id: number; readonly items: number }
  readonly users: number
  readonly seed: number
  /** Between a buyer's attempts; none unless it is given. */
  readonly thinkMs?: number
}

/**
 * Buyers without manners: they want any item in the name of any user, again and again. Most codes are redeemed, some
 * twice, some are forgotten until their holds expire. Whatever is answered goes into the ledger.
 */
export class Crowd {
  /** Items that somebody was told to have purchased. */
  readonly sold = new Set<number>()
  readonly #options: CrowdOptions
  readonly #random: SeededRandom
  /** Items that nobody got when they were tried. */
  readonly #again: number[] = []
  #fresh = 1

  constructor(options: CrowdOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
  }

  get isSoldOut(): boolean {
    return this.sold.size === this.#options.sale.items
  }

  /** So many buyers at once, each with one request after the other, until it is enough. */
  async run(buyers: number, isEnough: () => boolean): Promise<void> {
    const { thinkMs = 0 } = this.#options
    const buy = async () => {
      while (!isEnough()) {
        await this.#buy(isEnough)
        if (thinkMs > 0) await delay(thinkMs)
      }
    }
    await Promise.all(Array.from({ length: buyers }, buy))
  }

  async #buy(isEnough: () => boolean): Promise<void> {
    const item = this.#nextItem()
    const user = `user-${this.#random.below(this.#options.users)}`
    const held = await this.#send('checkout', checkoutPath(user, `${this.#options.sale.id}-${item}`), isEnough)
    if (held?.status !== 200) {
      if (held?.json?.['code'] !== 'item_sold') this.#again.push(item)
      return
    }
    const path = purchasePath(String(held.json?.['code']))
    const mood = this.#random.next()
    const purchased = mood < 0.05 ? undefined : await this.#send('purchase', path, isEnough)
    if (purchased?.status === 200) this.sold.add(item)
    else this.#again.push(item)
    if (mood > 0.95) await this.#send('purchase', path, isEnough)
  }

  /** Sends it again until it is decided, or until it is enough: then undefined. */
  async #send(operation: 'checkout' | 'purchase', path: string, isEnough: () => boolean) {
    const { http, ledger } = this.#options
    for (;;) {
      let reply: HttpReply | undefined
      try {
        reply = await http.post(path)
      } catch (error) {
        ledger.unanswered((error as NodeJS.ErrnoException).code ?? String(error))
      }
      if (reply !== undefined && ledger.answered(operation, reply)) return reply
      if (isEnough()) return undefined
      await delay(retryDelayMs)
    }
  }

  /** Mostly one that may still be had, now and then any. */
  #nextItem(): number {
    const { items } = this.#options.sale
    const isFresh = this.#fresh <= items
    if (this.#random.next() < 0.2) return 1 + this.#random.below(items)
    if (isFresh && (this.#again.length === 0 || this.#random.next() < 0.5)) return this.#fresh++
    return this.#again.shift() ?? 1 + this.#random.below(items)
  }
}
