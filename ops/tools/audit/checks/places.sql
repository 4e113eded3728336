-- Exactly once, without Redis: every place in the log up to the offset ($1 epoch, $2 seq) is one row.
-- One JSON object: `epochs` [{epoch, entries: seq of the last one known, batches: of them with rows, rows}], and with
-- the first $3 rows each: `absent` {count, rows [{epoch, from, to}]}: entries without a row, which may be opened sales;
-- `doubled` and `missing` {count, rows [{epoch, batch, n, ...}]}: places with more than one row and with none.
with places as (
  select epoch, batch, n from checkout_attempts where (epoch, batch) <= ($1::bigint, $2::bigint)
  union all
  select epoch, batch, n from purchase_attempts where (epoch, batch) <= ($1::bigint, $2::bigint)
), batches as materialized (
  select epoch, batch, count(*) as rows, count(distinct n) as places, min(n) as first, max(n) as last
  from places
  group by epoch, batch
), ends as (
  select epoch, batch from batches
  union all
  select $1::bigint, $2::bigint + 1
), absent as (
  select epoch, "from", "to"
  from (select epoch, coalesce(lag(batch) over (partition by epoch order by batch), 0) + 1 as "from", batch - 1 as "to"
        from ends) gaps
  where "from" <= "to"
), broken as materialized (
  select epoch, batch, first, last from batches where rows <> places or first <> 0 or last + 1 <> places
), found as materialized (
  select epoch, batch, n, count(*) as times, string_agg(what, '; ') as what
  from (
    select epoch, batch, n, format('checkout of %s-%s by %s, outcome %s', sale_id, item_index, user_id, outcome) as what
    from checkout_attempts where (epoch, batch) in (select epoch, batch from broken)
    union all
    select epoch, batch, n, format('purchase of %s-%s, outcome %s', sale_id, item_index, outcome)
    from purchase_attempts where (epoch, batch) in (select epoch, batch from broken)
  ) rows
  group by epoch, batch, n
), doubled as (
  select epoch, batch, n, times, what from found where times > 1 or n < 0
), missing as (
  select b.epoch, b.batch, place.n
  from broken b cross join lateral generate_series(0, b.last) place(n)
  where not exists (select from found f where f.epoch = b.epoch and f.batch = b.batch and f.n = place.n)
)
select json_build_object(
  'epochs', (select coalesce(json_agg(e), '[]') from (
    select epoch, max(batch) as entries, count(*) as batches, sum(rows)::bigint as rows from batches group by epoch order by epoch
  ) e),
  'absent', json_build_object(
    'count', (select coalesce(sum("to" - "from" + 1), 0)::bigint from absent),
    'rows', (select coalesce(json_agg(a), '[]') from (select * from absent order by epoch, "from" limit $3) a)),
  'doubled', json_build_object(
    'count', (select count(*) from doubled),
    'rows', (select coalesce(json_agg(d), '[]') from (select * from doubled order by epoch, batch, n limit $3) d)),
  'missing', json_build_object(
    'count', (select count(*) from missing),
    'rows', (select coalesce(json_agg(m), '[]') from (select * from missing order by epoch, batch, n limit $3) m))
)::text as found
