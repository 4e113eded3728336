import type { DecisionReader } from '../../core/decisions.ts'
import type { NonceSource } from '../../core/ids.ts'
import type { BuyerCommand } from '../../server/worker/selling/buyer-command.ts'
import type { Shard } from '../../server/worker/selling/shard.ts'
import type { Shards } from '../../server/worker/selling/shards.ts'
import type { SeededRandom } from '../harness/seeded-random.ts'
import { type Mix, type Visit, visitNames } from '../load/settings.ts'
import type { Shop } from '../load/shop.ts'
import type { RunCounts } from './run-counts.ts'

export interface BuyerOptions {
  readonly shards: Shards
  readonly counts: RunCounts
  readonly shop: Shop
  readonly mix: Mix
  readonly random: SeededRandom
  readonly nonces: NonceSource
  /** Whether it goes on, after each answer. */
  readonly goesOn: () => boolean
}

interface Code {
  readonly index: string
  readonly nonce: string
}

/**
 * What happens on one connection, without the connection: visit after visit, one command at a time, as bench/load/buyer.ts
 * has it. The commands go where CheckoutRoute and PurchaseRoute take them.
 */
export class VirtualBuyer {
  readonly options: BuyerOptions
  #visit: Visit = 'buy'
  /** To be purchased next. */
  #code: Code | undefined
  #bought: Code | undefined

  constructor(options: BuyerOptions) {
    this.options = options
  }

  /** Offers the next command of its visits. */
  next(): void {
    if (this.#code === undefined) this.#begin()
    const { shards, shop, nonces, counts } = this.options
    const code = this.#code
    this.#code = undefined
    const arrivedMs = performance.now()
    const isCheckout = code === undefined
    const user = isCheckout ? shop.pickUser() : ''
    const { index, nonce } = code ?? { index: String(shop.pickItem()), nonce: nonces.next() }
    if (isCheckout) counts.checkouts += 1
    const { saleId: sale } = shop
    const shard = shards.only ?? shards.of({ sale, index }, arrivedMs)
    const command = new VirtualCommand(this, { sale, index, nonce, user, arrivedMs, shard: shard ?? shards.first })
    const reason = shard?.refusal(arrivedMs)
    if (shard !== undefined && reason === undefined) shard.batcher.offer(command)
    else command.unavailable()
  }

  answered(command: VirtualCommand, decision: DecisionReader | undefined): void {
    const { counts, goesOn } = this.options
    if (decision === undefined) counts.undecided += 1
    else {
      const { outcome } = decision
      counts.decided(outcome)
      counts.latencies.recordValue(Math.round((performance.now() - command.arrivedMs) * 1_000))
      const { index } = command
      if (outcome === 'held' || outcome === 'held_again') {
        const nonce = outcome === 'held' ? command.nonce : decision.nonce
        if (this.#visit !== 'hold') this.#code = { index, nonce }
      } else if (outcome === 'purchased' && this.#visit === 'buy') this.#bought = { index, nonce: command.nonce }
    }
    if (!goesOn()) return
    // What nobody could decide leaves nothing to wait for, and would be asked again at once.
    if (decision === undefined) setImmediate(() => this.next())
    else this.next()
  }

  #begin(): void {
    const { mix, random, shop, nonces } = this.options
    let at = random.next() * visitNames.reduce((total, visit) => total + mix[visit], 0)
    const drawn = visitNames.find((visit) => (at -= mix[visit]) < 0) ?? 'buy'
    this.#visit = drawn === 'again' && this.#bought === undefined ? 'buy' : drawn
    if (this.#visit === 'again') this.#code = this.#bought
    if (this.#visit === 'guess') this.#code = { index: String(shop.pickItem()), nonce: nonces.next() }
  }
}

/** The part of a checkout or purchase that is not HTTP. */
class VirtualCommand implements BuyerCommand<Shard> {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly arrivedMs: number
  shard: Shard
  readonly #buyer: VirtualBuyer

  constructor(
    buyer: VirtualBuyer,
    of: Pick<BuyerCommand<Shard>, 'sale' | 'index' | 'nonce' | 'user' | 'arrivedMs' | 'shard'>,
  ) {
    this.sale = of.sale
    this.index = of.index
    this.nonce = of.nonce
    this.user = of.user
    this.arrivedMs = of.arrivedMs
    this.shard = of.shard
    this.#buyer = buyer
  }

  decided(decision: DecisionReader): void {
    if (decision.isDecided) {
      this.#buyer.answered(this, decision)
      return
    }
    const { shards, counts } = this.#buyer.options
    if (decision.reply === 'rights_elsewhere') {
      counts.withoutRight += 1
      shards.rights.seek(this)
    } else shards.sendOn(this, decision)
  }

  failed(): void {
    this.unavailable()
  }

  late(): void {
    this.unavailable()
  }

  shed(): void {
    this.unavailable()
  }

  unavailable(): void {
    this.#buyer.answered(this, undefined)
  }
}
