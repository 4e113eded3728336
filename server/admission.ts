import type { Batcher } from '../core/batcher.ts'
import type { SaleStore } from '../core/redis/sale-store.ts'
import type { LogRoom } from './log-room.ts'
import type { RecordGate } from './record-gate.ts'
import type { ShedReason } from './request-metrics.ts'
import type { TurnClock } from './turn-clock.ts'

export interface AdmissionOptions {
  readonly store: Pick<SaleStore, 'isUp'>
  readonly record: Pick<RecordGate, 'isSound'>
  readonly batcher: Pick<Batcher, 'hasRoom'>
  readonly clock: TurnClock
  readonly room: Pick<LogRoom, 'lack'>
  readonly deadlineMs: number
}

/** Whether this worker takes in checkouts and purchases at the moment. Asked once for each, so it only compares. */
export class Admission {
  readonly #options: AdmissionOptions
  /**
   * A request may have waited unseen for the whole of the turn before, and its answer may wait for the rest of this one:
   * with a quarter of the deadline for a turn that is half of it, and the other half is for the wait that is seen.
   */
  readonly #turnMsMax: number

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#turnMsMax = options.deadlineMs / 4
  }

  /** Why a checkout or purchase that comes now is turned away; `undefined` when it is not. */
  refusal(): ShedReason | undefined {
    const { store, record, room, batcher, clock } = this.#options
    if (!store.isUp) return 'redis_down'
    if (!record.isSound) return 'record_unsound'
    if (room.lack !== undefined) return room.lack
    if (!batcher.hasRoom(clock.now()) || clock.turnMs > this.#turnMsMax) return 'overloaded'
    return undefined
  }
}
