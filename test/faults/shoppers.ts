import { setTimeout as delay } from 'node:timers/promises'
import { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { NonceSource } from '../../core/ids.ts'
import { isAnswered, type SentRequest } from './evidence.ts'
import type { RecordedClient } from './recorded-client.ts'

/** Between two requests of a shopper: the machine shall be busy, and the faults still hit more than the load does. */
const thinkMsMax = 16
/** After an answer that leaves the outcome open: sooner than is asked for, to have many tries during a fault. */
const retryDelayMs = 40
const hotItems = 16
/** They come so often that the limit stops them. */
const greedyUsers = 40

export interface ShoppersOptions {
  readonly client: RecordedClient
  readonly sale: { readonly id: number; readonly items: number; readonly shards: number }
  readonly users: number
  readonly seed: number
}

/**
 * Buyers without manners: they want hot items, items that are gone and items that never were, in the name of any user;
 * they click twice, come back with old codes, make codes up, and give back what they hold. Whatever stays open is asked again
 * until it is decided.
 */
export class Shoppers {
  readonly sale: ShoppersOptions['sale']
  readonly #options: ShoppersOptions
  readonly #random: SeededRandom
  readonly #nonces = new NonceSource()
  /** Requests that got a code which was not redeemed; some have expired. */
  readonly #unredeemed: SentRequest[] = []
  #freshIndex = 1
  #givers = 0
  #isOver = false

  constructor(options: ShoppersOptions) {
    this.#options = options
    this.sale = options.sale
    this.#random = new SeededRandom(options.seed)
  }

  /** So many at once, until `stop`. */
  start(count: number): { stop: () => Promise<void> } {
    this.#isOver = false
    const running = Promise.all(Array.from({ length: count }, () => this.#shop()))
    running.catch(() => undefined) // `stop` tells
    return {
      stop: async () => {
        this.#isOver = true
        await running
      },
    }
  }

  /** So many at once buy whatever is left, each item in the name of a user of its own. Nothing may be broken. */
  async buyEverything(count: number): Promise<void> {
    this.#isOver = false
    const indexes = Array.from({ length: this.sale.items }, (_, at) => String(at + 1))
    const buy = async () => {
      for (let index = indexes.pop(); index !== undefined; index = indexes.pop()) {
        const held = await this.#untilDecided(this.#checkout(`last-${index}`, index))
        // On a busy machine the hold may have run out before its purchase came.
        const last = held !== undefined && isHeld(held) ? await this.#redeem(held) : held
        // Or it was somebody's forgotten hold, which will.
        if (['item_held', 'code_expired', 'code_unknown'].includes(verdictOf(last) ?? '')) indexes.unshift(index)
      }
    }
    await Promise.all(Array.from({ length: count }, buy))
  }

  async #shop(): Promise<void> {
    while (!this.#isOver) {
      await delay(this.#random.below(thinkMsMax))
      await this.#visit()
    }
  }

  async #visit(): Promise<void> {
    const random = this.#random
    const mood = random.next()
    if (mood < 0.08) {
      const old = this.#oldCode()
      await (this.sale.shards === 1 && random.chance(0.3) ? this.#giveBack(old) : this.#redeem(old))
      return
    }
    if (mood < 0.12) return await this.#options.client.look(this.sale.id, this.#wish())
    if (mood > 0.92) return await this.#changeMind(mood > 0.95)
    const user = `user-${random.below(random.chance(0.2) ? greedyUsers : this.#options.users)}`
    const held = await this.#untilDecided(this.#checkout(user, this.#wish()))
    if (held === undefined || !isHeld(held)) return
    if (mood < 0.2) this.#unredeemed.push(held)
    else if (mood < 0.3) await Promise.all([this.#redeem(held), this.#redeem(held)])
    else {
      if (mood < 0.4) await this.#untilDecided(this.#checkout(held.user, held.index))
      await this.#redeem(held)
      if (mood > 0.85) await this.#redeem(held)
      if (mood > 0.8) await this.#options.client.look(this.sale.id, held.index)
    }
  }

  #checkout(user: string, index: string): () => Promise<SentRequest> {
    return () => this.#options.client.checkout(user, this.sale.id, index)
  }

  async #redeem(held: SentRequest): Promise<SentRequest | undefined> {
    const nonce = (isAnswered(held) && held.answer.nonce) || this.#nonces.next()
    return await this.#untilDecided(() => this.#options.client.purchase({ sale: held.sale, index: held.index, nonce }))
  }

  /**
   * Of several shards one may forget in a failover that somebody has given a hold back. If the right has gone to another shard by
   * then, a hold is cut off, and no row says which. So whoever gives back there wants nothing else.
   */
  async #changeMind(isRace: boolean): Promise<void> {
    const random = this.#random
    const { shards } = this.sale
    const user = shards === 1 ? `user-${random.below(greedyUsers)}` : `giver-${++this.#givers}`
    const held = await this.#untilDecided(this.#checkout(user, this.#wish()))
    if (held === undefined || !isHeld(held)) return
    if (isRace) await Promise.all([this.#giveBack(held), this.#redeem(held), this.#giveBack(held)])
    else await this.#giveBack(held)
    if (random.chance(0.3)) await this.#redeem(held)
    if (random.chance(0.3)) await this.#giveBack(held)
  }

  async #giveBack(held: SentRequest): Promise<SentRequest | undefined> {
    const { sale, index } = held
    const nonce = (isAnswered(held) && held.answer.nonce) || this.#nonces.next()
    return await this.#untilDecided(() => this.#options.client.release({ sale, index, nonce }))
  }

  /** Undefined when it is over before there is a decision. */
  async #untilDecided(send: () => Promise<SentRequest>): Promise<SentRequest | undefined> {
    for (;;) {
      const sent = await send()
      if (isAnswered(sent)) return sent
      if (this.#isOver) return undefined
      await delay(retryDelayMs)
    }
  }

  /** Mostly one of those that nobody redeemed yet, or one that nobody ever issued. */
  #oldCode(): SentRequest {
    const { sale } = this
    const at = this.#random.below(this.#unredeemed.length * 1.2 + 1)
    const [old] = this.#unredeemed.splice(at, 1)
    return (
      old ?? {
        operation: 'checkout',
        sale: sale.id,
        index: this.#wish(),
        user: '',
        nonce: '',
        sentMs: 0,
        sentAtMs: 0,
        answer: 'unknown',
      }
    )
  }

  #wish(): string {
    const { items } = this.sale
    const kind = this.#random.next()
    if (kind < 0.01) return String(items + 1)
    if (kind < 0.16) return String(1 + this.#random.below(Math.min(hotItems, items)))
    if (kind < 0.4) return String(1 + this.#random.below(items))
    this.#freshIndex = (this.#freshIndex % items) + 1
    return String(this.#freshIndex)
  }
}

function isHeld(request: SentRequest): boolean {
  return verdictOf(request) === 'accepted'
}

function verdictOf(request: SentRequest | undefined): string | undefined {
  return request !== undefined && isAnswered(request) ? request.answer.verdict : undefined
}
