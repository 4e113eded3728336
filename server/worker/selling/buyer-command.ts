import type { ShedReason } from '../http/request-metrics.ts'
import type { Batcher, PendingCommand } from './batcher.ts'

/** What a command needs of a shard. */
export interface SellingShard {
  readonly number: number
  /** Why a command that comes now is turned away; `undefined` when it is not. */
  refusal(nowMs: number): ShedReason | undefined
  readonly batcher: Pick<Batcher, 'offerAgain'>
}

/** A checkout, purchase or release of a client. It is answered once: by a decision, or by one of the others. */
export interface BuyerCommand<Shard extends SellingShard = SellingShard> extends PendingCommand {
  /** The shard that it was offered to. */
  shard: Shard
  /** Before it was offered. `shard`: the one whose reason it is; undefined: it is of none. */
  shed(reason: ShedReason, shard?: number): void
  /** Nobody has decided it. */
  unavailable(): void
}

/** Why a command is not decided: a reason to turn it away, or `unavailable`. */
export type Undecided = ShedReason | 'unavailable'

/** @param shard that is why */
export function giveUp(command: Pick<BuyerCommand, 'shed' | 'unavailable'>, why: Undecided, shard?: number): void {
  if (why === 'unavailable') command.unavailable()
  else command.shed(why, shard)
}
