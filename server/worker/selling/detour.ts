import type { DecisionReader } from '../../../core/decisions.ts'
import type { Fault } from '../../../core/faults.ts'
import { firstShard, shardOf } from '../../../core/shards.ts'
import type { PendingCommand } from './batcher.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import type { SaleDirectory } from './sale-directory.ts'

export interface DetourOptions<Shard extends SellingShard> {
  /** By their numbers. */
  readonly shards: readonly Shard[]
  readonly directory: SaleDirectory
  readonly now: () => number
  /** The shard does not list the sale. */
  readonly onUnlisted: (sale: number, shard: number) => void
}

/**
 * The way of a command whose shard has no decision on it: the sale is not listed there, or the item is another shard's. No
 * shard is asked twice, so it ends: with a decision of the one that may decide, or with a 503.
 */
export class Detour<Shard extends SellingShard> implements PendingCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly arrivedMs: number
  readonly #options: DetourOptions<Shard>
  readonly #command: BuyerCommand<Shard>
  readonly #asked = new Set<number>()
  /** It is on its way to the shard that the item belongs to. */
  #isPlaced = false

  constructor(options: DetourOptions<Shard>, command: BuyerCommand<Shard>) {
    const { sale, index, nonce, user, arrivedMs } = command
    this.sale = sale
    this.index = index
    this.nonce = nonce
    this.user = user
    this.arrivedMs = arrivedMs
    this.#options = options
    this.#command = command
  }

  get trace(): PendingCommand['trace'] {
    return this.#command.trace
  }

  /** @param decision stands on the reply of the shard that the command was offered to */
  goOn(decision: DecisionReader): void {
    const { directory, onUnlisted } = this.#options
    const { shard } = this.#command
    this.#asked.add(shard.number)
    if (decision.reply === 'misplaced') {
      directory.learn(this.sale, decision.shards)
      this.#toIts(decision.shards)
    } else {
      if (decision.reply === 'not_listed') onUnlisted(this.sale, shard.number)
      this.#toAnother()
    }
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    if (decision.isDecided || decision.reply === 'rights_elsewhere') this.#command.decided(decision, logId, n)
    else this.goOn(decision)
  }

  failed(fault: Fault): void {
    this.#command.failed(fault)
  }

  late(): void {
    this.#command.late()
  }

  #toIts(shards: number): void {
    const target = this.#options.shards[shardOf(this.index, shards)]
    // Of a shard that this worker doesn't have, or that has said itself that the item isn't its.
    if (target === undefined || this.#isPlaced || this.#asked.has(target.number)) this.#command.unavailable()
    else {
      this.#isPlaced = true
      const reason = target.refusal(this.#options.now())
      if (reason === undefined) this.#offerTo(target)
      else this.#command.shed(reason, target.number)
    }
  }

  /** Whoever lists the sale can say where the item belongs. The first shard alone can say that nobody does. */
  #toAnother(): void {
    const nowMs = this.#options.now()
    const isEnd = this.#isPlaced || this.#command.shard.number === firstShard
    const target = isEnd ? undefined : this.#options.shards.find((shard) => this.#takes(shard, nowMs))
    if (target === undefined) this.#command.unavailable()
    else this.#offerTo(target)
  }

  #takes(shard: Shard, nowMs: number): boolean {
    return !this.#asked.has(shard.number) && shard.refusal(nowMs) === undefined
  }

  #offerTo(shard: Shard): void {
    this.#command.shard = shard
    shard.batcher.offerAgain(this)
  }
}
