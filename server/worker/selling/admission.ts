import type { SaleStore } from '../../../core/redis/sale-store.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { TurnClock } from '../http/turn-clock.ts'
import type { Batcher } from './batcher.ts'
import type { LogRoom } from './log-room.ts'
import type { RecordGate } from './record-gate.ts'

export interface AdmissionOptions {
  readonly store: Pick<SaleStore, 'isUp'>
  readonly record: Pick<RecordGate, 'isSound'>
  readonly room: Pick<LogRoom, 'lack'>
  readonly batcher: Pick<Batcher, 'hasRoom'>
  readonly clock: TurnClock
}

/** Whether this worker takes in checkouts and purchases at the moment. Asked once for each, so it only compares. */
export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Why a checkout or purchase that comes now is turned away; `undefined` when it is not. */
  refusal(): ShedReason | undefined {
    const { store, record, room, batcher, clock } = this.#options
    if (!store.isUp) return 'redis_down'
    if (!record.isSound) return 'record_unsound'
    if (room.lack !== undefined) return room.lack
    return batcher.hasRoom(clock.now()) ? undefined : 'overloaded'
  }
}
