import type { SaleTerms } from '../decisions.ts'
import { rebuildRowsMax } from '../limits.ts'
import { outcomes } from '../outcomes.ts'
import { type OutcomeCount, outcomeCountsText, saleTermsColumns } from '../postgres/recorded-sales.ts'
import type { Queries } from './record-head.ts'

const held = outcomes.held.code

/** A purchase, or the newest hold of an item that was not purchased. Times in ms since the epoch. */
export interface ItemRow {
  readonly item: string
  readonly user: string
  readonly nonce: string
  /** Of the purchase; of a hold its end. */
  readonly atMs: number
}

/** Sales in which something can still be decided at that moment: open, to come, or with holds that may be purchased. */
export async function liveSales(session: Queries, nowMs: number): Promise<SaleTerms[]> {
  const text = `
    select ${saleTermsColumns}
    from sales
    where (extract(epoch from closes_at) + hold_seconds) * 1000 > $1
    order by sale_id`
  return await session.query<SaleTerms>({ text }, [nowMs])
}

/** What was sold of a sale. */
export function soldItems(session: Queries, sale: number): AsyncIterable<ItemRow[]> {
  const text = `
    select item_index::text as item, user_id as user, nonce, (extract(epoch from purchased_at) * 1000)::float8 as "atMs"
    from purchases where sale_id = $1`
  return pages(session, 'sold_items', text, sale)
}

/** The newest hold of every item that was not sold, oldest first. It may have ended. */
export function heldItems(session: Queries, sale: number): AsyncIterable<ItemRow[]> {
  const text = `
    select item_index::text as item, user_id as user, nonce, (extract(epoch from expires_at) * 1000)::float8 as "atMs"
    from (select distinct on (item_index) item_index, user_id, nonce, expires_at, epoch, batch, n
          from checkout_attempts where sale_id = $1 and outcome = ${held}
          order by item_index, epoch desc, batch desc, n desc) newest
    where not exists (select from purchases p where p.sale_id = $1 and p.item_index = newest.item_index)
    order by epoch, batch, n`
  return pages(session, 'held_items', text, sale)
}

/** A hold, or the purchase of one. Times in ms since the epoch. */
export interface SlotRow {
  readonly user: string
  readonly atMs: number
  /** End of the hold. */
  readonly endMs: number
  readonly isPurchase: boolean
}

/** Everything that took up some user's limit, in the order in which it was decided. */
export function slotsInOrder(session: Queries, sale: number): AsyncIterable<SlotRow[]> {
  const text = `
    with held as (
      select user_id, decided_at, expires_at, nonce, epoch, batch, n
      from checkout_attempts where sale_id = $1 and outcome = ${held})
    select user_id as user, (extract(epoch from decided_at) * 1000)::float8 as "atMs",
           (extract(epoch from expires_at) * 1000)::float8 as "endMs", "isPurchase"
    from (select user_id, decided_at, expires_at, false as "isPurchase", epoch, batch, n from held
          union all
          select p.user_id, purchased_at, expires_at, true, p.epoch, p.batch, p.n
          from purchases p join held using (nonce) where p.sale_id = $1) slots
    order by epoch, batch, n`
  return pages(session, 'slots', text, sale)
}

/** The nonces of holds whose item was taken over after they had ended. */
export function lapsedNonces(session: Queries, sale: number): AsyncIterable<{ nonce: string }[]> {
  const text = `
    select nonce
    from (select nonce, row_number() over (partition by item_index order by epoch desc, batch desc, n desc) as age
          from checkout_attempts where sale_id = $1 and outcome = ${held}) holds
    where age > 1`
  return pages(session, 'lapsed_nonces', text, sale)
}

/** How often each outcome was decided in the sale. */
export async function outcomeCounts(session: Queries, sale: number): Promise<OutcomeCount[]> {
  return await session.query({ text: outcomeCountsText }, [sale])
}

/** The rows of a query with the sale as its parameter, by a cursor: a sale may have more than fit into memory at once. */
async function* pages<Row extends object>(
  session: Queries,
  cursor: string,
  text: string,
  sale: number,
): AsyncGenerator<Row[]> {
  await session.query({ text: `declare ${cursor} no scroll cursor for ${text}` }, [sale])
  for (;;) {
    const rows = await session.query<Row>({ text: `fetch ${rebuildRowsMax} from ${cursor}` })
    if (rows.length > 0) yield rows
    if (rows.length < rebuildRowsMax) break
  }
  await session.query({ text: `close ${cursor}` })
}
