import assert from 'node:assert/strict'

import type { DecisionReader } from '../../../core/decisions.ts'
import type { ItemId } from '../../../core/ids.ts'
import { firstShard, shardNumbers, shardOf } from '../../../core/shards.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { BuyerCommand } from './buyer-command.ts'
import { Detour, type DetourOptions } from './detour.ts'
import { FirstClock } from './first-clock.ts'
import { RightsRounds } from './rights-rounds.ts'
import { SaleDirectory } from './sale-directory.ts'
import type { SellingMetrics } from './selling-metrics.ts'
import { Shard, type ShardOptions } from './shard.ts'

export interface ShardsOptions extends Omit<ShardOptions, 'number' | 'isOnly'> {
  readonly count: number
  readonly metrics: SellingMetrics
  /** The shard does not list the sale. */
  readonly onUnlisted: (sale: number, shard: number) => void
}

/** All shards of this worker, and which of them decides what. */
export class Shards {
  /** By their numbers. */
  readonly all: readonly Shard[]
  /** Where there is one: then nothing has to be looked up, and `refusal` has asked it. */
  readonly only: Shard | undefined
  readonly directory = new SaleDirectory()
  readonly rights: RightsRounds
  /** Redis' clock, of the first shard that has told the time. */
  readonly clock: FirstClock
  readonly #detours: DetourOptions<Shard>

  constructor({ count, onUnlisted, ...options }: ShardsOptions) {
    const isOnly = count === 1
    this.all = shardNumbers(count).map((number) => new Shard({ ...options, number, isOnly }))
    assert(
      this.all.every(({ number }, place) => number === place),
      'a shard stands at the place of its number',
    )
    this.only = isOnly ? this.first : undefined
    this.clock = new FirstClock(this.all.map(({ clock }) => clock))
    const common = { shards: this.all, directory: this.directory, now: () => performance.now(), onUnlisted }
    this.#detours = common
    this.rights = new RightsRounds({ ...common, metrics: options.metrics })
  }

  /** The one that there always is. */
  get first(): Shard {
    return this.all[firstShard] as Shard
  }

  /**
   * The one that decides on the item, or that can say which does; `undefined`: it is of a shard that this worker doesn't have.
   * @param nowMs when the command came
   */
  of({ sale, index }: ItemId, nowMs: number): Shard | undefined {
    const shards = this.directory.shardsOf(sale)
    if (shards !== undefined) return this.all[shardOf(index, shards)]
    // The first one knows every sale. Where it can't be asked, another can say where the item belongs, if it lists the sale.
    return this.all.find((shard) => shard.refusal(nowMs) === undefined) ?? this.first
  }

  /** The command's shard has no decision on it: another one is asked, or it is answered that nobody has decided. */
  sendOn(command: BuyerCommand<Shard>, decision: DecisionReader): void {
    new Detour(this.#detours, command).goOn(decision)
  }

  /**
   * Why a checkout or purchase that comes now is turned away before anybody knows which shard it is for: when all would.
   * `undefined` when it is not. With more than one, the shard that it is for has to be asked too before it is offered.
   */
  refusal(nowMs: number): ShedReason | undefined {
    let reason: ShedReason | undefined
    for (const shard of this.all) {
      reason = shard.refusal(nowMs)
      if (reason === undefined) return undefined
    }
    return reason
  }

  /** Why nothing that Redis holds is read: no shard is known to have everything that was sold. */
  readonly readRefusal = (): ShedReason | undefined => {
    for (const { isSound } of this.all) if (isSound) return undefined
    return 'record_unsound'
  }

  /** The one that says when the state of the sale is looked at: it asks once a second, whether it is answered or not. */
  get reader(): Shard {
    return this.all.find(({ isReadable }) => isReadable) ?? this.first
  }

  /** Commands accepted and not answered yet, in their shards' queues. */
  get commandsWaiting(): number {
    return this.all.reduce((sum, { batcher }) => sum + batcher.waiting, 0)
  }

  /** Resolves when every accepted command has its answer. */
  async idle(): Promise<void> {
    // What one shard answers may have another one asked.
    do await Promise.all(this.all.map(({ batcher }) => batcher.idle()))
    while (this.commandsWaiting > 0)
  }

  close(): void {
    for (const shard of this.all) shard.close()
  }
}
