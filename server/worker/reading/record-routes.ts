import type { Config } from '../../../core/config/load.ts'
import { formatItemId, type HoldCode, isUserId, parseCode, parseItemId, userIdForm } from '../../../core/ids.ts'
import type { ItemEntry } from '../../../core/redis/item-entry.ts'
import { isoTime } from '../../../core/time.ts'
import type { Identity } from '../buyers/identity.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { problemReplies, problemReply } from '../http/problems.ts'
import { idMax, parseInteger, pathWith, QueryParameters } from '../http/query-parameters.ts'
import { okHead, purchaseBody } from '../http/replies.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import { Freshness, type LoggingShard, upToDate } from './freshness.ts'
import type { Reader, ReadGate, ReadReply } from './read-gate.ts'
import type { RecordReader } from './record-reader.ts'
import type { RecordWait, WantedRecord } from './record-wait.ts'
import { describeSale, type SaleSummaries } from './sale-summaries.ts'
import type { ShardedSales } from './sharded-sales.ts'

function pathMalformed(what: string) {
  return problemReply('invalid_request', { detail: `The path must name ${what}.` })
}

const saleMalformed = pathMalformed('the number of a sale')
const userMalformed = pathMalformed(`a user: ${userIdForm}`)
const codeMalformed = pathMalformed('a code that a checkout answered')

export interface RecordRoutesOptions {
  readonly sales: Pick<ShardedSales, 'state' | 'item' | 'shardOfItem' | 'canRead'>
  readonly shards: readonly LoggingShard[]
  readonly record: RecordReader
  readonly summaries: SaleSummaries
  /** For reads of Postgres. */
  readonly gate: ReadGate
  readonly wait: RecordWait
  readonly ack: Config['app']['ack']
  readonly clock: Pick<RedisClock, 'now'>
  /** Of the current sale; `undefined` before Redis has told the time. */
  readonly currentSale: () => number | undefined
}

/** What is on record: out of Postgres, and out of Redis what may not have got there yet. */
export class RecordRoutes {
  readonly routes: readonly Route[]
  readonly #options: RecordRoutesOptions

  constructor(options: RecordRoutesOptions) {
    this.#options = options
    const { refusal } = options.gate
    const buyers = { method: 'GET', refusal, isOfBuyer: true } as const
    this.routes = [
      { path: '/sales', method: 'GET', refusal, handle: (exchange) => this.#sales(exchange) },
      { path: '/sales/:id', method: 'GET', refusal, handle: (exchange) => this.#sale(exchange) },
      { ...buyers, path: '/users/:user_id/purchases', handle: (exchange) => this.#purchasesOf(exchange) },
      { ...buyers, path: '/purchases/:code', handle: (exchange) => this.#purchase(exchange) },
    ]
  }

  #sales(exchange: Exchange): void {
    const asked = new QueryParameters(exchange.query)
    const after = asked.integer('after', { max: idMax })
    const limit = asked.limit()
    if (asked.malformed !== undefined) exchange.reply(asked.malformed)
    else this.#options.gate.offer(exchange, `sales ${after} ${limit}`, () => this.#salesPage(after, limit))
  }

  async #salesPage(after: number | undefined, limit: number): Promise<ReadReply> {
    const { record, currentSale } = this.#options
    const freshness = this.#freshness()
    const sales = await record.sales(after ?? idMax, limit + 1)
    const current = currentSale()
    if (after === undefined && current !== undefined && (sales[0]?.sale ?? -1) < current) {
      const state = this.#options.sales.canRead(current) ? await this.#options.sales.state(current) : undefined
      if (state !== undefined) sales.unshift(state)
    }
    const page = sales.slice(0, limit)
    const next = sales.length > limit ? pathWith('/sales', { after: page.at(-1)?.sale, limit }) : null
    return answer({ sales: page.map((terms) => describeSale(terms, this.#nowMs())), next }, freshness)
  }

  #sale(exchange: Exchange): void {
    const sale = parseInteger(exchange.parameter)
    if (sale === undefined) exchange.reply(saleMalformed)
    else this.#options.gate.offer(exchange, `sale ${sale}`, () => this.#saleSummary(sale))
  }

  async #saleSummary(sale: number): Promise<ReadReply> {
    const freshness = this.#freshness()
    const nowMs = this.#nowMs()
    const drainedUntilMs = nowMs - (freshness.lagMs ?? Number.POSITIVE_INFINITY)
    const summary = await this.#options.summaries.of(sale, { nowMs, drainedUntilMs })
    return summary === undefined ? problemReplies.sale_unknown : answer(summary, freshness)
  }

  #purchasesOf(exchange: Exchange): void {
    const user = exchange.parameter
    const { identity } = exchange
    const asked = new QueryParameters(exchange.query)
    const after = asked.parsed('after', 'the id of an item', parseItemId)
    const limit = asked.limit()
    const wanted = this.#options.wait.wanted(asked)
    if (!isUserId(user)) exchange.reply(userMalformed)
    else if (identity?.actsFor(user) === false) exchange.reply(identity.mismatch)
    else if (asked.malformed !== undefined) exchange.reply(asked.malformed)
    else {
      const from = { sale: after?.sale ?? idMax, index: Number(after?.index ?? idMax) }
      const key = `user ${user} ${from.sale} ${from.index} ${limit}`
      if (wanted === undefined)
        this.#offer(exchange, key, (freshness) => this.#purchasesPage(user, from, limit, freshness))
      else
        this.#offerOnceRecorded(exchange, wanted, key, (freshness) => this.#purchasesPage(user, from, limit, freshness))
    }
  }

  #offer(exchange: Reader, key: string, run: (freshness: Freshness) => Promise<ReadReply>): void {
    this.#options.gate.offer(exchange, key, () => run(this.#freshness()))
  }

  /** The same when the record has what is wanted. Readers share a read if they have waited for as much. */
  #offerOnceRecorded(
    exchange: Exchange,
    wanted: WantedRecord,
    key: string,
    run: (freshness: Freshness) => Promise<ReadReply>,
  ): void {
    const { gate, wait, shards } = this.#options
    wait.until(exchange, wanted, (reached) => {
      gate.offer(readerOf(exchange), `${key} ${JSON.stringify(reached)}`, () => run(new Freshness(shards, reached)))
    })
  }

  async #purchasesPage(
    user: string,
    after: { sale: number; index: number },
    limit: number,
    freshness: Freshness,
  ): Promise<ReadReply> {
    const rows = await this.#options.record.purchasesOf(user, after, limit + 1)
    const purchases = rows.slice(0, limit).map(({ sale, index, at }) => {
      return { item_id: formatItemId(sale, index), sale_id: sale, purchased_at: at }
    })
    const path = `/users/${encodeURIComponent(user)}/purchases`
    const next = rows.length > limit ? pathWith(path, { after: purchases.at(-1)?.item_id, limit }) : null
    return answer({ user_id: user, purchases, next }, freshness)
  }

  #purchase(exchange: Exchange): void {
    const code = parseCode(exchange.parameter)
    if (code === undefined) {
      exchange.reply(codeMalformed)
      return
    }
    const asked = new QueryParameters(exchange.query)
    const wanted = this.#options.wait.wanted(asked)
    if (asked.malformed !== undefined) {
      exchange.reply(asked.malformed)
      return
    }
    const { identity } = exchange
    const key = `code ${exchange.parameter} ${identity?.buyer ?? ''}`
    const run = (freshness: Freshness) => this.#purchaseBy(code, identity, freshness)
    if (wanted === undefined) this.#offer(exchange, key, run)
    else {
      // What is found is there for ever: only what isn't has to be waited for.
      const onceMore = () => this.#offerOnceRecorded(exchange, wanted, key, run)
      this.#offer(readerOf(exchange, { unlessFound: onceMore }), key, run)
    }
  }

  /**
   * The body that the purchase was answered with. Redis knows it the moment it was made, Postgres for ever; where the
   * buyer isn't answered before Postgres has it, this doesn't tell of it any sooner. What Redis doesn't know may be
   * what it has forgotten.
   * @param identity whose purchase alone is told, where there is one: another's isn't told from none
   */
  async #purchaseBy(code: HoldCode, identity: Identity | undefined, freshness: Freshness): Promise<ReadReply> {
    const { record, ack } = this.#options
    const { sale, index } = code
    const item = ack === 'redis' ? await this.#itemInRedis(sale, Number(index)) : undefined
    if (item?.state === 'sold' && item.nonce === code.nonce) {
      if (identity?.actsFor(item.user) === false) return problemReplies.purchase_unknown
      const purchasedAt = isoTime(item.atMs)
      return { head: okHead, body: purchaseBody({ sale, index, user: item.user, purchasedAt }), headers: upToDate }
    }
    const row = await record.purchase(code)
    if (row === undefined || identity?.actsFor(row.user) === false) return problemReplies.purchase_unknown
    const body = purchaseBody({ sale, index, user: row.user, purchasedAt: row.at.toISOString() })
    return { head: okHead, body, headers: freshness.headers }
  }

  async #itemInRedis(sale: number, index: number): Promise<ItemEntry | undefined> {
    const { sales } = this.#options
    if (!sales.canRead(sale)) return undefined
    const shard = await sales.shardOfItem(sale, index)
    const found = shard?.isReadable === true ? await sales.item(sale, index) : undefined
    return found?.item
  }

  /** Taken before Postgres is asked: what it knows may then only be too old. */
  #freshness(): Freshness {
    return new Freshness(this.#options.shards)
  }

  #nowMs(): number {
    return this.#options.clock.now() ?? Date.now()
  }
}

/**
 * The exchange for the gate, which counts from now: it may have waited for longer than a read may.
 * @param options.unlessFound called instead of the answer that there is no such thing
 */
function readerOf(exchange: Exchange, options: { unlessFound?: () => void } = {}): Reader {
  return {
    admittedMs: performance.now(),
    answer: (head, body, headers) => {
      if (head.status === 404 && options.unlessFound !== undefined) options.unlessFound()
      else exchange.answer(head, body, headers)
    },
    shed: (reason) => exchange.shed(reason),
  }
}

function answer(body: object, freshness: Freshness): ReadReply {
  return { head: okHead, body: JSON.stringify(body), headers: freshness.headers }
}
