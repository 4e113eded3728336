import { holdSecondsMax } from '../../../core/limits.ts'
import { outcomes, unlistedOutcomes } from '../../../core/outcomes.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { attemptTables } from '../../../core/postgres/daily-tables.ts'
import { isoTime, msPerDay, msPerSecond } from '../../../core/time.ts'
import type { RecordedDay } from './days.ts'
import { stemOf } from './manifest.ts'
import { DayUnsound } from './refusals.ts'

const unlistedCodes = unlistedOutcomes.map((name) => outcomes[name].code).join(', ')
const held = outcomes.held.code
const purchased = outcomes.purchased.code
const utcDayOf = (time: string) => `(${time} at time zone 'UTC')::date`

/**
 * Keeps what is told of a day when its rows are gone, in the transaction that drops them; and looks whether they are what was
 * decided, as far as that shows in the day by itself: afterwards nobody can.
 * @throws DayUnsound; PostgresFault
 */
export function keepDay(postgres: Postgres, day: RecordedDay, manifestSha256: string | undefined): void {
  const key = [day.day, day.part] as const
  const rows = rowsOfDay(day)
  postgres.query(countsText(rows), key)
  const [broken] = postgres.query<{ entries: number }>(batchesText(rows), key)
  const problems = [
    { count: broken?.entries ?? 0, what: 'log entries of which an attempt is missing or there twice' },
    ...problemsOf(postgres, day),
  ].filter(({ count }) => count > 0)
  if (problems.length > 0) {
    const words = problems.map(({ count, what }) => `${count} ${what}`).join('; ')
    throw new DayUnsound(
      `${stemOf(day)} stays, because its rows are not what was decided: ${words}. npm run audit says more`,
    )
  }
  postgres.query(dayText(day), [...key, manifestSha256 ?? null])
}

/** Common table expressions: the day's attempts with their shards, and its moved rights. */
function rowsOfDay({ partitions }: RecordedDay): string {
  const attempts = partitions.filter(({ table }) => isAttempts(table))
  const selects = attempts.map(
    ({ table, name }) =>
      `select '${table}' as table_name, epoch, batch, n, sale_id, item_index, outcome, decided_at from ${name}`,
  )
  const transfers = partitions.find(({ table }) => table === 'right_transfers')
  return `
    attempts as not materialized (
      select a.*, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
      from (${selects.join(' union all ')}) a left join sales s using (sale_id)
    ), moves as not materialized (
      select * from ${transfers?.name ?? '(select * from right_transfers where false) none'}
    )`
}

function isAttempts(table: string): boolean {
  return attemptTables.some((each) => each === table)
}

function countsText(rows: string): string {
  return `
    with ${rows}
    insert into retired_counts (day, part, table_name, shard, epoch, sale_id, outcome, rows, latest_at)
    select $1::date, $2::smallint, table_name, shard, epoch, sale, outcome, count(*), max(decided_at)
    from (
      select table_name, shard, epoch, case when outcome in (${unlistedCodes}) then null else sale_id end as sale, outcome, decided_at
      from attempts
      union all
      select 'right_transfers', shard, epoch, sale_id, kind, decided_at from moves
    ) counted
    group by table_name, shard, epoch, sale, outcome`
}

/** The ranges, and in how many entries the places are not as the audit wants them. */
function batchesText(rows: string): string {
  return `
    with ${rows}, places as (
      select shard, epoch, batch, n, count(*) filter (where is_attempt) as attempts
      from (select shard, epoch, batch, n, true as is_attempt from attempts
            union all select shard, epoch, batch, n, false from moves) all_rows
      group by shard, epoch, batch, n
    ), entries as materialized (
      select shard, epoch, batch, sum(attempts) as attempts,
             max(attempts) > 1 or min(n) <> 0 or max(n) + 1 <> count(*) as is_broken
      from places group by shard, epoch, batch
    ), kept as (
      insert into retired_batches (day, part, shard, epoch, first_batch, last_batch, attempts)
      select $1::date, $2::smallint, shard, epoch, min(batch), max(batch), sum(attempts)
      from (select *, batch - row_number() over (partition by shard, epoch order by batch) as range from entries) ranged
      group by shard, epoch, range
    )
    select count(*)::float8 as entries from entries where is_broken`
}

/** The row of the day itself: sums of what was kept of it just now, and how its purchases and holds fit the other days. */
function dayText(day: RecordedDay): string {
  const checkouts = day.partitions.find(({ table }) => table === 'checkout_attempts')
  const later = `${utcDayOf('p.purchased_at')} <> $1::date
    and not exists (select from retired_days r where r.day = ${utcDayOf('p.purchased_at')})`
  return `
    with kept as (
      select coalesce(sum(rows) filter (where table_name <> 'right_transfers'), 0) as attempts,
             coalesce(sum(rows) filter (where table_name = 'right_transfers'), 0) as transfers
      from retired_counts where day = $1::date and part = $2::smallint
    ), bought as materialized (${boughtText(day)})
    insert into retired_days (day, part, manifest_sha256, attempts, transfers, purchases, purchase_marks, purchased_later, held_before)
    select $1::date, $2::smallint, $3, attempts, transfers,
           (select count(*) from bought),
           (select coalesce(sum(purchase_mark(sale_id, item_index, user_id, nonce, at, epoch, batch, n)), 0) from bought),
           ${checkouts === undefined ? 0 : `(select count(*) from ${checkouts.name} h join purchases p using (sale_id, item_index, nonce) where h.outcome = ${held} and ${later})`},
           (select count(*) from (${unheldText(day)}) unheld where $2::smallint = 1)
    from kept`
}

/** The accepted purchase attempts of the day. */
function boughtText({ partitions }: RecordedDay): string {
  const tries = partitions.find(({ table }) => table === 'purchase_attempts')
  return `select sale_id, item_index, user_id, nonce, decided_at as at, epoch, batch, n
    from ${tries?.name ?? 'purchase_attempts'} where outcome = ${purchased}${tries === undefined ? ' and false' : ''}`
}

/** Holds that purchases of the day may be of: the days before and behind it are enough, for a clock that was set back. */
function holdsText({ day }: RecordedDay): string {
  const startMs = Date.parse(`${day}T00:00:00Z`)
  const [from, to] = [startMs - holdSecondsMax * msPerSecond - msPerDay, startMs + 2 * msPerDay].map(isoTime)
  return `select * from checkout_attempts where outcome = ${held} and decided_at >= '${from}' and decided_at < '${to}'`
}

/** Purchases of the day whose holds are on record no more. */
function unheldText(day: RecordedDay): string {
  return `select * from bought b where not exists (
    select from (${holdsText(day)}) h where h.sale_id = b.sale_id and h.item_index = b.item_index and h.nonce = b.nonce)`
}

function problemsOf(postgres: Postgres, day: RecordedDay): { count: number; what: string }[] {
  const bought = boughtText(day)
  const onRecord = `select sale_id, item_index, user_id, nonce, purchased_at as at, epoch, batch, n from purchases
    where sale_id in (select sale_id from bought)`
  const checks = [
    {
      what: 'accepted purchase attempts that are no purchases',
      text: `with bought as materialized (${bought})
        select count(*)::float8 as count from (select * from bought except all (${onRecord})) apart`,
    },
    {
      what: 'purchases that were not accepted',
      // Of a day that was retired before, some are accepted by rows that are gone.
      text: `with bought as materialized (${bought})
        select count(*)::float8 as count
        from ((${onRecord}) except all select * from bought) apart
        where ${utcDayOf('at')} = $1::date and $2::smallint = 1`,
    },
    {
      what: 'purchases by nobody who held the item',
      text: `with bought as materialized (${bought}), unheld as (${unheldText(day)})
        select (select count(*) from bought b join (${holdsText(day)}) h using (sale_id, item_index, nonce)
                where h.user_id <> b.user_id or b.at >= h.expires_at or (b.epoch, b.batch, b.n) <= (h.epoch, h.batch, h.n))::float8
             + (select count(*) from unheld u where $2::smallint = 1 and not exists (
                  select from retired_days r join sales s on s.sale_id = u.sale_id
                  where r.day between ${utcDayOf("(u.at - s.hold_seconds * interval '1 s')")} and $1::date))::float8 as count`,
    },
    {
      what: 'sales that its attempts name and that are not on record',
      text: `select count(distinct sale_id)::float8 as count from retired_counts k
        where day = $1::date and part = $2::smallint and sale_id is not null
          and not exists (select from sales s where s.sale_id = k.sale_id)`,
    },
  ]
  return checks.map(({ what, text }) => {
    const [row] = postgres.query<{ count: number }>(text, text.includes('$1') ? [day.day, day.part] : [])
    return { what, count: row?.count ?? 0 }
  })
}
