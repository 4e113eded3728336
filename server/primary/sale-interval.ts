import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { saleIntervalLeaseMs, saleNumbersAheadMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { Queries } from '../../core/recovery/record-head.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'

export interface SaleIntervalOptions {
  readonly store: Pick<SaleStore, 'keepInterval'>
  readonly intervalMs: number
  readonly log: Log
}

/**
 * All servers on one Redis open their sales at the same interval, or each would sell sales of its own. A server keeps its
 * interval in Redis while it runs, for some seconds at a time: so another one can be taken once all servers are stopped.
 */
export class SaleInterval {
  readonly #options: SaleIntervalOptions
  readonly #stopping = new AbortController()

  constructor(options: SaleIntervalOptions) {
    this.#options = options
  }

  /** @throws Fault HC_SALE_INTERVAL while another server keeps another one */
  async keep(): Promise<void> {
    const { store, intervalMs } = this.#options
    const kept = await store.keepInterval(intervalMs, saleIntervalLeaseMs)
    if (kept.intervalMs === intervalMs) return
    const [theirs, ours] = [kept.intervalMs / 1_000, intervalMs / 1_000]
    const fix = `Set the same, or stop all servers: ${saleIntervalLeaseMs / 1_000} s later another one can be taken`
    throw new Fault(
      'HC_SALE_INTERVAL',
      `a server on this Redis runs with APP_SALE_INTERVAL_SECONDS=${theirs}, this one with ${ours}. ${fix}`,
    )
  }

  /** Goes on keeping it until `stop()`. Never rejects for a Fault. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    let isSaid = false
    while (!signal.aborted) {
      await delay(saleIntervalLeaseMs / 3, undefined, { signal }).catch(() => undefined) // stopped
      if (signal.aborted) return
      try {
        await this.keep()
        isSaid = false
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        // Where Redis is away everybody says so already.
        if (error.code === 'HC_SALE_INTERVAL' && !isSaid) this.#options.log.error({ code: error.code }, error.message)
        isSaid ||= error.code === 'HC_SALE_INTERVAL'
      }
    }
  }

  stop(): void {
    this.#stopping.abort()
  }
}

/**
 * A sale's number is the time of its opening divided by the interval. After a small change of the interval the numbers of
 * the next sales may be those of sales that are on record, whose items are sold.
 * @throws Fault HC_SALE_INTERVAL
 */
export async function assertNumbersUnused(
  session: Queries,
  { intervalMs, nowMs }: { intervalMs: number; nowMs: number },
): Promise<void> {
  const first = Math.floor(nowMs / intervalMs)
  const last = first + Math.floor(saleNumbersAheadMs / intervalMs)
  const text = `
    select sale_id::float8 as sale from sales
    where sale_id between $1 and $2 and (extract(epoch from opens_at) * 1000)::bigint <> sale_id * $3::bigint
    order by sale_id limit 1`
  const [used] = await session.query<{ sale: number }>({ text }, [first, last, intervalMs])
  if (used === undefined) return
  const what = `sale ${used.sale} is on record with another interval than APP_SALE_INTERVAL_SECONDS=${intervalMs / 1_000}`
  const fix = 'Take the interval of before, a shorter one, or one that is longer by more'
  throw new Fault('HC_SALE_INTERVAL', `${what}, and its number would come again. ${fix}`)
}
