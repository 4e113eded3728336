import { rightsSeekersMax, rightsSeekersPerBuyerMax } from '../../../core/limits.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import { RightsRound, type RoundOptions, type RoundResult } from './rights-round.ts'
import type { SaleDirectory } from './sale-directory.ts'

export interface RightsRoundsOptions extends Pick<RoundOptions, 'now' | 'onUnlisted'> {
  /** By their numbers. */
  readonly shards: readonly SellingShard[]
  readonly directory: Pick<SaleDirectory, 'shardsOf'>
  readonly metrics: { rightsAsked(loans: number): void; rightsRound(result: RoundResult): void }
}

/** The searches for rights of this worker: one at a time for each buyer of a sale. */
export class RightsRounds {
  readonly #options: RightsRoundsOptions
  /** Sale and user -> the buyer's round. */
  readonly #rounds = new Map<string, RightsRound>()
  #seekers = 0

  constructor(options: RightsRoundsOptions) {
    this.#options = options
  }

  /** Checkouts that wait for a right, or for their turn. Some command of each one's round is always on its way. */
  get seekers(): number {
    return this.#seekers
  }

  /** The item of the checkout is free, and its shard has no right of the buyer's. It is answered in any case. */
  seek(command: BuyerCommand): void {
    const { sale, user } = command
    // Neither of the two can hold a space.
    const key = `${sale} ${user}`
    const round = this.#rounds.get(key)
    if (this.#seekers >= rightsSeekersMax || (round !== undefined && round.waiting >= rightsSeekersPerBuyerMax)) {
      command.shed('overloaded')
    } else if (round === undefined) this.#begin(key, command)
    else {
      this.#seekers += 1
      round.join(command)
    }
  }

  #begin(key: string, command: BuyerCommand): void {
    const { shards, directory, metrics, now, onUnlisted } = this.#options
    const shardCount = directory.shardsOf(command.sale)
    // Just opened by another server. The rotation will hear of it.
    if (shardCount === undefined) {
      command.unavailable()
      return
    }
    const round = new RightsRound(command, shardCount, {
      shards,
      now,
      onUnlisted,
      onAsked: (loans) => metrics.rightsAsked(loans),
      onResult: (result) => metrics.rightsRound(result),
      onLeft: (checkouts) => {
        this.#seekers -= checkouts
      },
      onOver: () => this.#rounds.delete(key),
    })
    this.#seekers += 1
    this.#rounds.set(key, round)
    round.start()
  }
}
