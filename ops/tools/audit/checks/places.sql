-- Exactly once, without Redis: every place in a shard's log up to its offset is one attempt, or moved rights alone.
-- One JSON object: `logs` [{shard, since: the epoch up to which it is known where each one ended, absent: how many entries
-- have no row}], `attempts`: how many there are, and with the first $1 rows each: `absent` {rows [{shard, epoch, from, to}]}:
-- entries without a row, which may be opened sales; `doubled` and `missing` {count, rows [{shard, epoch, batch, n, ...}]}:
-- places with more than one row and with none. Of retired days the entries are known, and how many attempts they had.
with recursive chain as (
  select shard, epoch, seq as "end" from log_offsets
  union all
  select shard, e.after_epoch, e.after_seq
  from chain c join log_epochs e using (shard, epoch)
  where e.after_epoch is not null
), moves as (
  select shard, r.epoch, batch, n, sale_id, user_id
  from right_transfers r join log_offsets o using (shard)
  where (r.epoch, r.batch) <= (o.epoch, o.seq)
), places as (
  select shard, c.epoch, batch, n, true as is_attempt
  from checkouts c join log_offsets o using (shard) where (c.epoch, batch) <= (o.epoch, seq)
  union all
  select shard, t.epoch, batch, n, true
  from tries t join log_offsets o using (shard) where (t.epoch, batch) <= (o.epoch, seq)
  union all
  select shard, r.epoch, batch, n, true
  from releases r join log_offsets o using (shard) where (r.epoch, batch) <= (o.epoch, seq)
  union all
  select distinct shard, epoch, batch, n, false from moves m
  where not exists (select from checkouts c where c.shard = m.shard and c.epoch = m.epoch and c.batch = m.batch and c.n = m.n)
), batches as materialized (
  select shard, epoch, batch, count(*) as rows, count(*) filter (where is_attempt) as attempts,
         count(distinct n) as places, min(n) as first, max(n) as last
  from places
  group by shard, epoch, batch
), stretches as (
  select shard, epoch, batch as first, batch as last from batches
  union all
  select shard, epoch, first_batch, last_batch from retired_batches
), ends as (
  select shard, epoch, first, last from stretches
  union all
  select shard, epoch, "end" + 1, "end" + 1 from chain
), absent as materialized (
  select shard, epoch, "from", "to"
  from (select shard, epoch, coalesce(max(last) over before, 0) + 1 as "from", first - 1 as "to" from ends
        window before as (partition by shard, epoch order by first rows between unbounded preceding and 1 preceding)) gaps
  where "from" <= "to"
), again as materialized (
  select shard, epoch, first
  from (select shard, epoch, first, max(last) over before as reached from stretches
        window before as (partition by shard, epoch order by first rows between unbounded preceding and 1 preceding)) ordered
  where first <= reached
), broken as materialized (
  select shard, epoch, batch, first, last from batches where rows <> places or first <> 0 or last + 1 <> places
), found as materialized (
  select shard, epoch, batch, n, count(*) as times, string_agg(what, '; ') as what
  from (
    select shard, epoch, batch, n, format('checkout of %s-%s by %s, outcome %s', sale_id, item_index, user_id, outcome) as what
    from checkouts where (shard, epoch, batch) in (select shard, epoch, batch from broken)
    union all
    select shard, epoch, batch, n, format('purchase of %s-%s, outcome %s', sale_id, item_index, outcome)
    from tries where (shard, epoch, batch) in (select shard, epoch, batch from broken)
    union all
    select shard, epoch, batch, n, format('release of %s-%s, outcome %s', sale_id, item_index, outcome)
    from releases where (shard, epoch, batch) in (select shard, epoch, batch from broken)
  ) rows
  group by shard, epoch, batch, n
), doubled as (
  select shard, epoch, batch, n, times, what from found where times > 1 or n < 0
  union all
  select shard, epoch, first, 0, 2, 'a log entry of a retired day' from again
  union all
  select shard, epoch, batch, n, count(*),
         format('right in sale %s of %s, %s shard %s', sale_id, user_id, case kind when 1 then 'to' else 'from' end, peer)
  from right_transfers
  group by shard, epoch, batch, n, sale_id, user_id, kind, peer
  having count(*) > 1
), missing as (
  select b.shard, b.epoch, b.batch, place.n
  from broken b cross join lateral generate_series(0, b.last) place(n)
  where not exists (select from found f where f.shard = b.shard and f.epoch = b.epoch and f.batch = b.batch and f.n = place.n)
    and not exists (select from moves m where m.shard = b.shard and m.epoch = b.epoch and m.batch = b.batch and m.n = place.n)
)
select json_build_object(
  'attempts', (select coalesce(sum(attempts), 0)::bigint
               from (select attempts from batches union all select attempts from retired_batches) kept),
  'logs', (select json_agg(l) from (
    select shard, min(epoch) as since,
           (select coalesce(sum("to" - "from" + 1), 0)::bigint from absent a where a.shard = chain.shard) as absent
    from chain group by shard order by shard
  ) l),
  'absent', json_build_object(
    'rows', (select coalesce(json_agg(a), '[]') from (select * from absent order by shard, epoch, "from" limit $1) a)),
  'doubled', json_build_object(
    'count', (select count(*) from doubled),
    'rows', (select coalesce(json_agg(d), '[]') from (select * from doubled order by shard, epoch, batch, n limit $1) d)),
  'missing', json_build_object(
    'count', (select count(*) from missing),
    'rows', (select coalesce(json_agg(m), '[]') from (select * from missing order by shard, epoch, batch, n limit $1) m))
)::text as found
