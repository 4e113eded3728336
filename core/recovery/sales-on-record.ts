import type { SaleTerms } from '../decisions.ts'
import { rebuildRowsMax } from '../limits.ts'
import { outcomes, unlistedOutcomes } from '../outcomes.ts'
import { attemptTables } from '../postgres/daily-tables.ts'
import type { Parameter } from '../postgres/parameter.ts'
import { transferKinds } from '../postgres/record-columns.ts'
import { type OutcomeCount, saleTermsColumns } from '../postgres/recorded-sales.ts'
import type { Queries } from './record-head.ts'

const held = outcomes.held.code
const released = outcomes.released.code

/** A sale's part in one shard: what stands in that shard's log. */
export interface SalePartOnRecord {
  readonly sale: number
  /** Over how many shards its items are spread. */
  readonly shards: number
  readonly shard: number
}

/** The part of the sale $1 of $2 shards that is in the shard $3: a condition on item_index, as the SQL function shard_of has it. */
const isInPart = '(item_index - 1 + $2::int) % $2::int = $3::int'

interface ItemRow {
  readonly item: string
  readonly user: string
  readonly nonce: string
}

export interface SoldRow extends ItemRow {
  /** Ms since the epoch. */
  readonly atMs: number
}

/** The newest hold of an item that was not purchased. */
export interface HeldRow extends ItemRow {
  /** Ms since the epoch; null: it was released. */
  readonly endMs: number | null
}

/**
 * Sales with a part in the shard in which something can still be decided: open, to come, or with holds that may be purchased.
 * Redis' clock decides, whatever that of before was: what isn't listed and is a sale by it would be opened again. It may be
 * ahead for a moment, as after a boot; so a sale is left out only if it is over by Postgres' clock too. One too many is what a
 * Redis that was never emptied has as well, until it drops it.
 * @param now.nowMs Redis' clock
 * @param now.ttlSeconds how long after its end Redis keeps a sale: what it would drop at once is left out, so a clock of
 *   Postgres that is far behind costs no more than this
 */
export async function liveSales(
  session: Queries,
  shard: number,
  { nowMs, ttlSeconds }: { nowMs: number; ttlSeconds: number },
): Promise<SaleTerms[]> {
  const text = `
    select ${saleTermsColumns}
    from sales
    where (extract(epoch from closes_at) + hold_seconds) * 1000 > least($1, extract(epoch from clock_timestamp()) * 1000)
      and (extract(epoch from closes_at) + hold_seconds + $2::int) * 1000 > $1
      and shards > $3
    order by sale_id`
  return await session.query<SaleTerms>({ text }, [nowMs, ttlSeconds, shard])
}

/** What was sold of the part. */
export function soldItems(session: Queries, part: SalePartOnRecord): AsyncIterable<SoldRow[]> {
  const text = `
    select item_index::text as item, user_id as user, nonce, (extract(epoch from purchased_at) * 1000)::float8 as "atMs"
    from purchases where sale_id = $1 and ${isInPart}`
  return pages(session, 'sold_items', text, part)
}

/** The newest hold of every item of the part that was not sold, oldest first. It may have ended. */
export function heldItems(session: Queries, part: SalePartOnRecord): AsyncIterable<HeldRow[]> {
  const text = `
    select item_index::text as item, user_id as user, nonce,
           case when is_released then null else (extract(epoch from expires_at) * 1000)::float8 end as "endMs"
    from (select distinct on (item_index) item_index, user_id, nonce, expires_at, epoch, batch, n
          from checkout_attempts where sale_id = $1 and outcome = ${held} and ${isInPart}
          order by item_index, epoch desc, batch desc, n desc) newest
    left join (select distinct item_index, nonce, true as is_released
               from release_attempts where sale_id = $1 and outcome = ${released}) released using (item_index, nonce)
    where not exists (select from purchases p where p.sale_id = $1 and p.item_index = newest.item_index)
    order by epoch, batch, n`
  return pages(session, 'held_items', text, part)
}

/** What changed a user's entry: a hold, the purchase or release of one, or a right that went or came. Times in ms since the epoch. */
export interface SlotRow {
  readonly user: string
  readonly what: 'held' | 'purchased' | 'released' | 'lent' | 'got'
  readonly atMs: number
  /** End of the hold; null for a right. */
  readonly endMs: number | null
  /** Of a right: the other shard, and how many went there, or came from there, until then. Otherwise null. */
  readonly peer: number | null
  readonly total: number | null
}

/** Everything that took up some user's limit in the part, and every right that moved, in the order of deciding. */
export function slotsInOrder(session: Queries, part: SalePartOnRecord): AsyncIterable<SlotRow[]> {
  // A right that came with a command was there before the command was decided.
  const text = `
    with held as (
      select user_id, decided_at, expires_at, nonce, epoch, batch, n
      from checkout_attempts where sale_id = $1 and outcome = ${held} and ${isInPart})
    select user_id as user, what, (extract(epoch from decided_at) * 1000)::float8 as "atMs",
           (extract(epoch from expires_at) * 1000)::float8 as "endMs", peer, total
    from (select user_id, 'held' as what, decided_at, expires_at, null::int as peer, null::int as total, epoch, batch, n from held
          union all
          select p.user_id, 'purchased', purchased_at, expires_at, null, null, p.epoch, p.batch, p.n
          from purchases p join held using (nonce) where p.sale_id = $1
          union all
          select held.user_id, 'released', r.decided_at, expires_at, null, null, r.epoch, r.batch, r.n
          from release_attempts r join held using (nonce) where r.sale_id = $1 and r.outcome = ${released}
          union all
          select user_id, case kind when ${transferKinds.got} then 'got' else 'lent' end, decided_at, null, peer, total,
                 epoch, batch, n
          from right_transfers where sale_id = $1 and shard = $3) slots
    order by epoch, batch, n, what = 'got' desc`
  return pages(session, 'slots', text, part)
}

/** The nonces of holds of the part whose item was taken over after they had ended. Codes that were released are forgotten. */
export function lapsedNonces(session: Queries, part: SalePartOnRecord): AsyncIterable<{ nonce: string }[]> {
  const text = `
    select nonce
    from (select nonce, row_number() over (partition by item_index order by epoch desc, batch desc, n desc) as age
          from checkout_attempts where sale_id = $1 and outcome = ${held} and ${isInPart}) holds
    where age > 1 and not exists (
      select from release_attempts r where r.sale_id = $1 and r.outcome = ${released} and r.nonce = holds.nonce)`
  return pages(session, 'lapsed_nonces', text, part)
}

const unlistedCodes = unlistedOutcomes.map((name) => outcomes[name].code).join(', ')

export interface DatedCount extends OutcomeCount {
  /** When the newest of them was decided, ms since the epoch. */
  readonly newestMs: number
}

/**
 * How often each outcome was decided in the part, as Redis counts them: without those that it did not list. No day of a live sale
 * is retired, but one before it with attempts at the sale from a clock that was set back may be.
 */
export async function outcomeCounts(session: Queries, part: SalePartOnRecord): Promise<DatedCount[]> {
  const attempts = attemptTables.map(
    (table) => `select item_index, outcome, decided_at from ${table} where sale_id = $1`,
  )
  const text = `
    select outcome, sum(count)::float8 as count, (extract(epoch from max(decided_at)) * 1000)::float8 as "newestMs"
    from (select outcome, decided_at, 1 as count
          from (${attempts.join(' union all ')}) attempts
          where ${isInPart}
          union all
          select outcome, latest_at, rows from retired_counts
          where sale_id = $1 and shard = $3 and table_name <> 'right_transfers') counted
    where outcome not in (${unlistedCodes})
    group by outcome`
  return await session.query({ text }, parametersOf(part))
}

/** What a shard has of its rights with another one of a sale, by what is on record. */
export interface RecordedRights {
  readonly sale: number
  readonly user: string
  readonly lent: number
  readonly got: number
}

/** Of the shard, with that peer. */
export async function recordedRights(
  session: Queries,
  { shard, peer, sales }: { shard: number; peer: number; sales: readonly number[] },
): Promise<RecordedRights[]> {
  const text = `
    select sale_id::float8 as sale, user_id as user,
           coalesce(max(total) filter (where kind = ${transferKinds.lent}), 0)::int as lent,
           coalesce(max(total) filter (where kind = ${transferKinds.got}), 0)::int as got
    from right_transfers where shard = $1 and peer = $2 and sale_id = any($3::bigint[])
    group by sale_id, user_id`
  return await session.query<RecordedRights>({ text }, [shard, peer, `{${sales.join()}}`])
}

function parametersOf({ sale, shards, shard }: SalePartOnRecord): readonly Parameter[] {
  return [sale, shards, shard]
}

/** The rows of a query with the part as its parameters, by a cursor: a sale may have more than fit into memory at once. */
async function* pages<Row extends object>(
  session: Queries,
  cursor: string,
  text: string,
  part: SalePartOnRecord,
): AsyncGenerator<Row[]> {
  await session.query({ text: `declare ${cursor} no scroll cursor for ${text}` }, parametersOf(part))
  for (;;) {
    const rows = await session.query<Row>({ text: `fetch ${rebuildRowsMax} from ${cursor}` })
    if (rows.length > 0) yield rows
    if (rows.length < rebuildRowsMax) break
  }
  await session.query({ text: `close ${cursor}` })
}
