import assert from 'node:assert/strict'

import type { ItemId } from '../../../core/ids.ts'
import { shardNumbers, shardOf } from '../../../core/shards.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import { Shard, type ShardOptions } from './shard.ts'

/** All shards of this worker, and which of them decides what. */
export class Shards {
  readonly all: readonly Shard[]

  constructor(options: Omit<ShardOptions, 'number'>) {
    this.all = shardNumbers.map((number) => new Shard({ ...options, number }))
    assert(
      this.all.every(({ number }, place) => number === place),
      'a shard stands at the place of its number',
    )
  }

  /** The one that decides on the item. */
  of(item: ItemId): Shard {
    return this.all[shardOf(item)] as Shard
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

  /** Commands accepted and not answered yet. */
  get commandsWaiting(): number {
    return this.all.reduce((sum, { batcher }) => sum + batcher.waiting, 0)
  }

  /** Answers that wait for Postgres. */
  get answersUncommitted(): number {
    return this.all.reduce((sum, { uncommitted }) => sum + (uncommitted?.count ?? 0), 0)
  }

  /** Resolves when every accepted command has its answer. */
  async idle(): Promise<void> {
    await Promise.all(this.all.map(({ batcher }) => batcher.idle()))
  }

  close(): void {
    for (const shard of this.all) shard.close()
  }
}
