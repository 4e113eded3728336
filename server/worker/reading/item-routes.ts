import type { SaleTerms } from '../../../core/decisions.ts'
import { formatItemId, type ItemId, parseItemId } from '../../../core/ids.ts'
import type { ItemEntry } from '../../../core/redis/item-entry.ts'
import { shardOf } from '../../../core/shards.ts'
import { isoTime } from '../../../core/time.ts'
import { namesTag } from '../http/entity-tag.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { problemReplies, problemReply } from '../http/problems.ts'
import { idMax, pathWith, QueryParameters } from '../http/query-parameters.ts'
import { okHead, replyHead } from '../http/replies.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import { itemScansMax, itemsScannedMax } from '../limits.ts'
import { itemName } from './item-name.ts'
import { ItemPictures, type Picture } from './item-pictures.ts'
import type { ReadGate, ReadReply } from './read-gate.ts'
import type { ShardedSales } from './sharded-sales.ts'

const itemStates = ['available', 'held', 'sold'] as const
type ItemState = (typeof itemStates)[number]

const idMalformed = problemReply('invalid_request', {
  detail: 'The path must name the id of an item, <sale>-<number>, as GET /sale names the first and the last.',
})

const pictureHeaders = [
  'Content-Type: image/svg+xml',
  'Cache-Control: public, max-age=31536000, immutable',
  "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox",
  'X-Content-Type-Options: nosniff',
].join('\r\n')
const pictureHead = replyHead(200, `200 OK\r\n${pictureHeaders}`)
const pictureKnownHead = replyHead(304, `304 Not Modified\r\n${pictureHeaders}`)

export interface ItemRoutesOptions {
  readonly sales: Pick<ShardedSales, 'someItems' | 'state' | 'item' | 'isUp'>
  /** For reads of Redis. */
  readonly gate: ReadGate
  readonly pictureGate: ReadGate
  /** Of the current sale; `undefined` before Redis has told the time. */
  readonly currentSale: () => number | undefined
  /** Why nothing is read in Redis at the moment: what it says of an item could be untrue. */
  readonly refusal: () => ShedReason | undefined
}

/** What one look at some items has found. */
interface Scan {
  readonly items: readonly ReturnType<typeof describe>[]
  readonly after: number | undefined
  readonly missingShards: readonly number[]
}

interface AskedPage {
  readonly sale: number
  readonly state: ItemState | undefined
  /** The index that the page comes after. */
  readonly after: number
  readonly limit: number
}

/** `GET /items`, `GET /items/{id}`, `GET /items/{id}/picture.svg`: what people see of an item. Nobody's id, no code. */
export class ItemRoutes {
  readonly routes: readonly Route[]
  readonly #options: ItemRoutesOptions
  readonly #pictures = new ItemPictures()

  constructor(options: ItemRoutesOptions) {
    this.#options = options
    const refusal = (): ShedReason | undefined => options.refusal() ?? options.gate.refusal()
    this.routes = [
      { path: '/items', method: 'GET', refusal, handle: (exchange) => this.#list(exchange) },
      { path: '/items/:id', method: 'GET', refusal, handle: (exchange) => this.#item(exchange) },
      { path: '/items/:id/picture.svg', method: 'GET', isTagged: true, handle: (exchange) => this.#picture(exchange) },
    ]
  }

  #list(exchange: Exchange): void {
    const { sales, gate, currentSale } = this.#options
    const asked = new QueryParameters(exchange.query)
    const sale = asked.integer('sale', { max: idMax }) ?? currentSale()
    const state = asked.oneOf('state', itemStates)
    const after = asked.integer('after', { max: idMax }) ?? 0
    const limit = asked.limit()
    if (asked.malformed !== undefined) exchange.reply(asked.malformed)
    else if (!sales.isUp || sale === undefined) exchange.shed('redis_down')
    else
      gate.offer(exchange, `items ${sale} ${state} ${after} ${limit}`, () => this.#page({ sale, state, after, limit }))
  }

  /**
   * With a state asked for, a page looks at a bounded number of items: it may be short, and `next` leads on. It is only empty
   * where so many more have been looked through, or none is counted in that state.
   */
  async #page(asked: AskedPage): Promise<ReadReply> {
    let page = await this.#scan(asked)
    for (let scans = 1; scans < itemScansMax; scans++) {
      if (page === undefined || page.items.length > 0 || page.after === undefined) break
      if (scans === 1 && !(await this.#hasAny(asked))) break
      page = await this.#scan({ ...asked, after: page.after })
    }
    if (page === undefined) return problemReplies.sale_unknown
    const { sale, state, limit } = asked
    const next = page.after === undefined ? null : pathWith('/items', { sale, state, after: page.after, limit })
    const missing = page.missingShards.length > 0 && { missing_shards: page.missingShards }
    return { head: okHead, body: JSON.stringify({ sale_id: sale, items: page.items, next, ...missing }) }
  }

  /** Whether the sale counts an item in the state that is asked for: one that has changed in the last second may be counted wrong. */
  async #hasAny({ sale, state }: AskedPage): Promise<boolean> {
    const found = await this.#options.sales.state(sale)
    if (found === undefined || state === undefined) return false
    const { items, held, sold } = found
    return { available: items - held - sold, held, sold }[state] > 0
  }

  /** One look. `after`: where the next one goes on; `undefined` at the end of the sale. Items of shards that can't be asked are left out. */
  async #scan({ sale, state, after, limit }: AskedPage): Promise<Scan | undefined> {
    const found = await this.#options.sales.someItems(sale, after + 1, state === undefined ? limit : itemsScannedMax)
    if (found === undefined) return undefined
    const { terms, nowMs, missingShards } = found
    const items: ReturnType<typeof describe>[] = []
    let index = after
    for (const item of found.items) {
      if (index >= terms.items || items.length === limit) break
      index += 1
      if (missingShards.includes(shardOf(index, terms.shards))) continue
      const described = describe({ terms, index, item, nowMs })
      if (state === undefined || described.state === state) items.push(described)
    }
    return { items, after: index < terms.items ? index : undefined, missingShards }
  }

  #item(exchange: Exchange): void {
    const { sales, gate } = this.#options
    const id = parseItemId(exchange.parameter)
    if (id === undefined) exchange.reply(idMalformed)
    else if (!sales.isUp) exchange.shed('redis_down')
    else gate.offer(exchange, `item ${exchange.parameter}`, () => this.#one(id))
  }

  async #one({ sale, index: text }: ItemId): Promise<ReadReply> {
    const index = Number(text)
    const found = await this.#options.sales.item(sale, index)
    if (found === undefined) return problemReplies.sale_unknown
    const { terms, nowMs, item } = found
    if (index < 1 || index > terms.items) return problemReplies.item_unknown
    return { head: okHead, body: JSON.stringify(describe({ terms, index, item, nowMs })) }
  }

  /** Every id has its picture, whether its sale has come, has gone or will never be: nobody needs to be asked. */
  #picture(exchange: Exchange): void {
    const id = exchange.parameter
    const parts = parseItemId(id)
    if (parts === undefined) {
      exchange.reply(idMalformed)
      return
    }
    const kept = this.#pictures.kept(id)
    if (kept === undefined)
      this.#options.pictureGate.offer(exchange, id, () => pictureReply(this.#pictures.draw(id, parts)))
    else if (namesTag(exchange.ifNoneMatch, kept.tag)) exchange.answer(pictureKnownHead, '', tagHeader(kept))
    else exchange.answer(pictureHead, kept.svg, tagHeader(kept))
  }
}

function pictureReply(picture: Picture): ReadReply {
  return { head: pictureHead, body: picture.svg, headers: tagHeader(picture) }
}

function tagHeader({ tag }: Picture): string {
  return `\r\nETag: ${tag}`
}

interface FoundItem {
  readonly terms: SaleTerms
  readonly index: number
  /** `undefined`: nobody has touched it. */
  readonly item: ItemEntry | undefined
  readonly nowMs: number
}

function describe({ terms, index, item, nowMs }: FoundItem) {
  const id = formatItemId(terms.sale, index)
  const isHeld = item?.state === 'held' && item.atMs > nowMs
  const state: ItemState = item?.state === 'sold' ? 'sold' : isHeld ? 'held' : 'available'
  return {
    id,
    sale_id: terms.sale,
    index,
    name: itemName(terms.sale, index),
    picture: `/items/${id}/picture.svg`,
    state,
    hold_expires_at: isHeld ? isoTime(item.atMs) : null,
  }
}
