-- What a row of the record costs. While a day lasts its partition takes tens of thousands of rows a second, and a btree on
-- buyers cost more than the row itself: it is made when the day is over. Until then there is a BRIN, which costs a twentieth:
-- a sale's rows stand together. No index is on the parent, because each new partition would get it at once.
--
-- To drop an index is quick, and takes it from all days: the server makes those of the days before anew, the newest first.

drop index checkout_attempts_decided_at, checkout_attempts_user, purchase_attempts_decided_at, purchase_attempts_user;
-- The primary key says it already: a code names its item, and an item is sold once.
alter table purchases drop constraint purchases_nonce_key;

create view attempts_partitions as
select to_date(right(c.relname, 8), 'YYYYMMDD') as day, c.relname as partition,
       exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
               where x.indrelid = c.oid and x.indisvalid and m.amname = 'brin') as has_ranges,
       exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
               where x.indrelid = c.oid and x.indisvalid and m.amname = 'btree' and x.indpred is null
                 and pg_get_indexdef(x.indexrelid, 1, true) = 'sale_id'
                 and pg_get_indexdef(x.indexrelid, 2, true) = 'user_id') as has_buyers
from pg_inherits h join pg_class c on c.oid = h.inhrelid
where h.inhparent in ('checkout_attempts'::regclass, 'purchase_attempts'::regclass)
  and c.relname ~ '^(checkout|purchase)_attempts_[0-9]{8}$';
comment on view attempts_partitions is 'The partitions of both attempts tables, and which of their indexes are there.';
comment on column attempts_partitions.has_ranges is 'The BRIN on decided_at and sale_id, for a sale or a time of the day. Made with the partition.';
comment on column attempts_partitions.has_buyers is 'The btree on sale_id and user_id. Made by index_attempts when the day is over, or on demand.';

-- The BRIN of a partition, and the right to copy into it directly for whoever may insert into its parent. A BRIN knows the
-- pages that were vacuumed, and all others are read: so many rows at most, and those of a minute. Each page is vacuumed once
-- either way; a share of the table, the default, would leave a fifth of the day.
create function prepare_partition(parent text, child text) returns void
language plpgsql as $$
declare
  grantee regrole;
begin
  if parent <> 'right_transfers' then
    -- minmax_multi: who names a sale that doesn't exist widens the range of its pages only by that one number.
    execute format('create index on %I using brin (decided_at, sale_id int8_minmax_multi_ops)', child);
    execute format('alter table %I set (autovacuum_vacuum_insert_scale_factor = 0, '
      'autovacuum_vacuum_insert_threshold = 200000)', child);
  end if;
  for grantee in
    select a.grantee::regrole from pg_class c cross join aclexplode(c.relacl) a
    where c.oid = to_regclass(quote_ident(parent)) and a.privilege_type = 'INSERT' and a.grantee not in (0, c.relowner)
  loop
    execute format('grant insert on %I to %s', child, grantee);
  end loop;
end
$$;
comment on function prepare_partition is 'For ensure_attempts_partitions: what a new partition gets besides its columns.';
revoke execute on function prepare_partition(text, text) from public;

-- As 007 has it, with what a partition gets besides. Versions before call it too.
create or replace function ensure_attempts_partitions(day date) returns void
language plpgsql security definer as $$
declare
  parent text;
  child text;
begin
  -- Two persisters may see the same new day.
  perform pg_advisory_xact_lock(46822537, 1);
  foreach parent in array array['checkout_attempts', 'purchase_attempts', 'right_transfers'] loop
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

-- On one core, and in vain rather than in the way: whoever writes to the partition waits while its index is made.
create function index_attempts(day date) returns integer
language plpgsql security definer set lock_timeout = '1s' set max_parallel_maintenance_workers = 0 as $$
declare
  missing record;
  made integer := 0;
begin
  -- Another server, or a person, is at it.
  if not pg_try_advisory_xact_lock(46822537, 3) then
    return 0;
  end if;
  for missing in
    select * from attempts_partitions p where p.day = index_attempts.day and not (has_ranges and has_buyers)
  loop
    if not missing.has_ranges then
      perform prepare_partition(left(missing.partition, -9), missing.partition);
      made := made + 1;
    end if;
    if not missing.has_buyers then
      execute format('create index on %I (sale_id, user_id)', missing.partition);
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
comment on function index_attempts is
  'Makes the indexes on buyers of a day (UTC) that are missing, and answers how many it made. The server calls it for days that are over.';
revoke execute on function index_attempts(date) from public;

do $$
declare
  h record;
begin
  execute format('alter function ensure_attempts_partitions(date) set search_path = %I, pg_temp', current_schema());
  execute format('alter function index_attempts(date) set search_path = %I, pg_temp', current_schema());
  -- The day that is under way, and those to come. A scan of its rows: about a second for ten million.
  for h in
    select p.relname as parent, c.relname as child
    from pg_inherits join pg_class p on p.oid = inhparent join pg_class c on c.oid = inhrelid
    where inhparent in ('checkout_attempts'::regclass, 'purchase_attempts'::regclass, 'right_transfers'::regclass)
      and c.relname ~ '_[0-9]{8}$' and right(c.relname, 8) >= to_char(now() at time zone 'UTC', 'YYYYMMDD')
  loop
    perform prepare_partition(h.parent, h.child);
  end loop;
end
$$;
