import { setTimeout as delay } from 'node:timers/promises'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import { type HotcakesCandidate, startCandidate } from '../floor/candidate.ts'
import { askSale } from '../load/server-view.ts'

/** Longer than any of this takes, so that neither a sale nor a hold ends in it. */
export const saleIntervalSeconds = 30 * 86_400
const holdSeconds = 86_400
/** As many rows as the largest sale has, at a tenth of the usual rate. */
const drainMsMax = 900_000
/** What is measured is what an answer costs, also on a machine that has too much to do: nothing is turned away. */
const answerMsMax = 10_000
export const commandTimeoutMs = 60_000
/** Of wrk, for an answer. */
export const patienceSeconds = 30
const pollMs = 100

export interface StagePlan {
  readonly name: string
  readonly items: number
  /** Of the server's log: what it is expected to complain of is told on stderr otherwise. */
  readonly logLevel?: 'error' | 'silent'
}

/** A whole server with one HTTP worker, and a second way into its Redis: to fill the sale, and to look at what it takes up. */
export class Stage {
  readonly server: HotcakesCandidate
  readonly store: SaleStore
  readonly sale: number
  readonly #signal: AbortSignal

  private constructor(server: HotcakesCandidate, parts: { store: SaleStore; sale: number; signal: AbortSignal }) {
    this.server = server
    this.store = parts.store
    this.sale = parts.sale
    this.#signal = parts.signal
  }

  /** @param signal from then on the server is not stopped in its own order, which takes a while, but at once */
  static async open({ name, items, logLevel = 'error' }: StagePlan, signal: AbortSignal): Promise<Stage> {
    signal.throwIfAborted()
    const server = await startCandidate(name, {
      workers: 1,
      items,
      env: {
        APP_DEADLINE_MS: String(answerMsMax),
        APP_HOLD_SECONDS: String(holdSeconds),
        APP_SALE_INTERVAL_SECONDS: String(saleIntervalSeconds),
        APP_LOG_BACKLOG_MAX: '10000000',
        LOG_LEVEL: logLevel,
      },
      // A rewrite would fall into the load of one server and not into another's, by the chance of their files' sizes.
      redisLines: ['auto-aof-rewrite-percentage 0'],
    })
    const store = new SaleStore(server.redis, { shard: firstShard, name: 'hotcakes-bench', commandTimeoutMs })
    try {
      await store.connect()
      const { id: sale } = await askSale(server.url)
      return new Stage(server, { store, sale, signal })
    } catch (error) {
      store.close()
      await server.stop()
      throw error
    }
  }

  /** Everything that was decided is on record, and gone from the log. */
  async drained(): Promise<void> {
    const deadlineMs = performance.now() + drainMsMax
    while ((await this.store.logState()).backlogEntries > 0) {
      this.#signal.throwIfAborted()
      if (performance.now() > deadlineMs) throw new Error(`the log did not drain within ${drainMsMax} ms`)
      await delay(pollMs)
    }
  }

  async close(): Promise<void> {
    this.store.close()
    if (this.#signal.aborted) await this.server.hotcakes.abort()
    await this.server.stop()
  }
}
