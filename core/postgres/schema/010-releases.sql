-- Holds that were given back. A table of its own: attempts to release are few, and are neither checkouts nor purchases.

alter table outcomes drop constraint outcomes_operation_check;
alter table outcomes add constraint outcomes_operation_check check (operation in ('checkout', 'purchase', 'release'));
insert into outcomes (code, name, operation) values
  (11, 'released', 'release'),
  (12, 'released_again', 'release'),
  (13, 'release_sold', 'release'),
  (14, 'release_unknown', 'release'),
  (15, 'release_expired', 'release'),
  (16, 'release_unlisted', 'release'),
  (17, 'release_of_another', 'release'),
  (26, 'code_of_another', 'purchase');

create table release_attempts (
  decided_at timestamptz not null,
  epoch      bigint not null,
  batch      bigint not null,
  sale_id    bigint not null,
  item_index bigint not null,
  n          smallint not null,
  outcome    smallint not null,
  nonce      text collate "C" not null,
  user_id    text collate "C"
) partition by range (decided_at);
comment on table release_attempts is 'Every decided POST /release, one row each; a partition holds a day (UTC).';
comment on column release_attempts.decided_at is 'Redis'' clock when its batch was decided.';
comment on column release_attempts.epoch is 'With batch: the id of the log entry that it comes from.';
comment on column release_attempts.n is
  'Its place in the batch, from 0. In the log of a shard (epoch, batch, n) is unique over all three attempts tables.';
comment on column release_attempts.sale_id is 'The sale that the code named; it need not exist.';
comment on column release_attempts.item_index is 'The item that the code named; it need not exist.';
comment on column release_attempts.outcome is 'See outcomes.';
comment on column release_attempts.nonce is 'Last part of the code.';
comment on column release_attempts.user_id is 'Whose hold the code was (released, released_again); otherwise nobody is known.';

-- As 007 has it. What names no listed sale (9, 10, 16, 25) is decided by the first shard.
create or replace function shard_of(item_index bigint, shards smallint, outcome smallint) returns smallint
language sql immutable parallel safe as $$
  select (case when outcome in (9, 10, 16, 25) then 0 else (item_index - 1 + shards) % shards end)::smallint
$$;

create or replace view attempts as
select a.decided_at, o.operation, o.name as outcome, a.sale_id, a.item_index, a.user_id, a.nonce, a.expires_at,
       a.epoch, a.batch, a.n, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
from (
  select decided_at, sale_id, item_index, user_id, nonce, expires_at, epoch, batch, n, outcome from checkout_attempts
  union all
  select decided_at, sale_id, item_index, user_id, nonce, null, epoch, batch, n, outcome from purchase_attempts
  union all
  select decided_at, sale_id, item_index, user_id, nonce, null, epoch, batch, n, outcome from release_attempts
) a
left join outcomes o on o.code = a.outcome
left join sales s on s.sale_id = a.sale_id;

create or replace view attempts_partitions as
select to_date(right(c.relname, 8), 'YYYYMMDD') as day, c.relname as partition,
       exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
               where x.indrelid = c.oid and x.indisvalid and m.amname = 'brin') as has_ranges,
       exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
               where x.indrelid = c.oid and x.indisvalid and m.amname = 'btree' and x.indpred is null
                 and pg_get_indexdef(x.indexrelid, 1, true) = 'sale_id'
                 and pg_get_indexdef(x.indexrelid, 2, true) = 'user_id') as has_buyers
from pg_inherits h join pg_class c on c.oid = h.inhrelid
where h.inhparent in ('checkout_attempts'::regclass, 'purchase_attempts'::regclass, 'release_attempts'::regclass)
  and c.relname ~ '^(checkout|purchase|release)_attempts_[0-9]{8}$';
comment on view attempts_partitions is 'The partitions of the three attempts tables, and which of their indexes are there.';

-- As 008 has it, with one more table. Versions before call it too.
create or replace function ensure_attempts_partitions(day date) returns void
language plpgsql security definer as $$
declare
  parent text;
  child text;
begin
  -- Two persisters may see the same new day.
  perform pg_advisory_xact_lock(46822537, 1);
  foreach parent in array array['checkout_attempts', 'purchase_attempts', 'release_attempts', 'right_transfers'] loop
    child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    continue when to_regclass(quote_ident(child)) is not null;
    -- Attached and not created in place: that would wait for every reader of the parent, and readers for it.
    execute format('create table %I (like %I including all)', child, parent);
    perform prepare_partition(parent, child);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, child,
      day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
  end loop;
end
$$;
comment on function ensure_attempts_partitions is
  'Makes the partitions of the three attempts tables and of right_transfers for a day (UTC), if they are missing.';
do $$
begin
  execute format('alter function ensure_attempts_partitions(date) set search_path = %I, pg_temp', current_schema());
end
$$;
