import { undefinedForFault } from '../../../core/faults.ts'
import { formatItemId } from '../../../core/ids.ts'
import { firstShard, itemsOfShard } from '../../../core/shards.ts'
import { isoTime } from '../../../core/time.ts'
import type { Exchange } from '../http/exchange.ts'
import { okHead } from '../http/replies.ts'
import { saleRequestsWaitingMax } from '../limits.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import { saleAt } from '../selling/sales.ts'
import type { ShardedSales } from './sharded-sales.ts'

export interface SaleViewOptions {
  readonly sales: Pick<ShardedSales, 'state' | 'isUp'>
  readonly clock: Pick<RedisClock, 'now'>
  readonly intervalMs: number
  readonly onUnlisted: (sale: number, shard: number) => void
}

type ShownState = NonNullable<Awaited<ReturnType<ShardedSales['state']>>>

export interface SaleItems {
  readonly total: number
  readonly held: number
  readonly sold: number
  readonly available: number
}

/** `GET /sale`: the current sale, as Redis has it at the moment. */
export class SaleView {
  readonly #options: SaleViewOptions
  #waiting: Exchange[] = []
  #isAsking = false
  #items: SaleItems | undefined

  constructor(options: SaleViewOptions) {
    this.#options = options
  }

  /** As of the last time that Redis was asked; `undefined` when it did not know, or when some shard could not be asked. */
  get items(): SaleItems | undefined {
    return this.#items
  }

  readonly handle = (exchange: Exchange): void => {
    if (!this.#options.sales.isUp) exchange.shed('redis_down')
    else if (this.#waiting.length >= saleRequestsWaitingMax) exchange.shed('overloaded')
    else {
      this.#waiting.push(exchange)
      if (!this.#isAsking) void this.#answerAll()
    }
  }

  /** Asks Redis for nobody in particular: keeps `items` current. Never rejects for a Fault. */
  async refresh(): Promise<void> {
    if (this.#options.sales.isUp) await this.#ask()
    else this.#items = undefined
  }

  /**
   * One call at a time, for all that came before it left. A request that comes meanwhile waits for the next: the answer
   * under way might be older than what that client has just done.
   */
  async #answerAll(): Promise<void> {
    this.#isAsking = true
    while (this.#waiting.length > 0) {
      const exchanges = this.#waiting.splice(0)
      const state = await this.#ask()
      const body = state && JSON.stringify(describe(state))
      for (const exchange of exchanges) {
        if (body === undefined) exchange.unavailable()
        else exchange.answer(okHead, body)
      }
    }
    this.#isAsking = false
  }

  async #ask(): Promise<ShownState | undefined> {
    const state = await this.#currentState().catch(undefinedForFault) // 503 says all there is to say
    this.#items = state?.missingShards.length === 0 ? itemsOf(state) : undefined
    return state
  }

  async #currentState(): Promise<ShownState | undefined> {
    const { clock, intervalMs } = this.#options
    const nowMs = clock.now()
    if (nowMs === undefined) return undefined
    const state = await this.#stateOf(saleAt(nowMs, intervalMs))
    if (state === undefined || state.nowMs < state.closesAtMs) return state
    // The clock was late: at the boundary Redis is in the next sale already.
    return this.#stateOf(saleAt(state.nowMs, intervalMs))
  }

  async #stateOf(sale: number): Promise<ShownState | undefined> {
    const { sales, onUnlisted } = this.#options
    const state = await sales.state(sale)
    if (state === undefined) onUnlisted(sale, firstShard)
    return state
  }
}

/** What became of the items of a missing shard is not known: they are in `total` alone. */
function itemsOf({ items, shards, held, sold, missingShards }: ShownState): SaleItems {
  const missing = missingShards.reduce((sum, shard) => sum + itemsOfShard(shard, { items, shards }), 0)
  return { total: items, held, sold, available: Math.max(0, items - missing - held - sold) }
}

function describe(state: ShownState): Record<string, unknown> {
  const { total, held, sold, available } = itemsOf(state)
  const { missingShards } = state
  return {
    id: state.sale,
    opens_at: isoTime(state.opensAtMs),
    closes_at: isoTime(state.closesAtMs),
    items: total,
    held,
    sold,
    available,
    user_limit: state.userLimit,
    hold_seconds: state.holdMs / 1_000,
    first_item_id: formatItemId(state.sale, 1),
    last_item_id: formatItemId(state.sale, total),
    ...(missingShards.length > 0 && { missing_shards: missingShards }),
  }
}
