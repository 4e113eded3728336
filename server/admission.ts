import type { SaleStore } from '../core/redis/sale-store.ts'
import type { ShedReason } from './request-metrics.ts'

/** Whether this worker takes in checkouts and purchases at the moment. Asked once for each, so it only compares. */
export class Admission {
  readonly #store: Pick<SaleStore, 'isUp'>

  constructor(store: Pick<SaleStore, 'isUp'>) {
    this.#store = store
  }

  /** Why a checkout or purchase that comes now is turned away; `undefined` when it is not. */
  refusal(): ShedReason | undefined {
    if (!this.#store.isUp) return 'redis_down'
    return undefined
  }
}
