-- One sale over several shards: each has a log of its own, and each row belongs to one.

alter table sales add column shards smallint not null default 1 check (shards > 0);
comment on column sales.shards is 'Over how many shards its items are spread: see shard_of.';

-- Whose log an attempt is from, or a purchase (outcome 21). In no column of the attempts, which are most of the record: it
-- follows from what they have. What names no listed sale (9, 10, 25) is decided by the first shard.
create function shard_of(item_index bigint, shards smallint, outcome smallint) returns smallint
language sql immutable parallel safe as $$
  select (case when outcome in (9, 10, 25) then 0 else (item_index - 1 + shards) % shards end)::smallint
$$;
comment on function shard_of is 'The shard that decided an attempt: of the item, of sales.shards of its sale (1 without one), of the outcome.';

create or replace view attempts as
select a.decided_at, o.operation, o.name as outcome, a.sale_id, a.item_index, a.user_id, a.nonce, a.expires_at,
       a.epoch, a.batch, a.n, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
from (
  select decided_at, sale_id, item_index, user_id, nonce, expires_at, epoch, batch, n, outcome from checkout_attempts
  union all
  select decided_at, sale_id, item_index, user_id, nonce, null, epoch, batch, n, outcome from purchase_attempts
) a
left join outcomes o on o.code = a.outcome
left join sales s on s.sale_id = a.sale_id;
comment on column checkout_attempts.n is
  'Its place in the batch, from 0. In the log of a shard (epoch, batch, n) is unique over both attempts tables.';
comment on column purchase_attempts.n is
  'Its place in the batch, from 0. In the log of a shard (epoch, batch, n) is unique over both attempts tables.';

alter table log_offsets add column run text;
comment on column log_offsets.shard is 'Every shard that there is has its row here.';
comment on column log_offsets.run is
  'The run of Redis that may decide; only what was read from it is copied. Null: none was admitted yet by a version that says so.';

-- Between two epochs nothing may be missing either: the persister goes on to the next one where the one before ended.
create table log_epochs (
  shard       smallint not null,
  epoch       bigint not null,
  run         text not null,
  after_epoch bigint,
  after_seq   bigint,
  begun_at    timestamptz not null default now(),
  primary key (shard, epoch),
  check ((after_epoch is null) = (after_seq is null))
);
comment on table log_epochs is 'The epochs of each log: one begins whenever another run of Redis is admitted.';
comment on column log_epochs.run is 'The run of Redis that it began with.';
comment on column log_epochs.after_epoch is
  'With after_seq: the last log entry before it. Null: Redis was rebuilt, or new, and the offset was set to the beginning of this epoch.';

-- Where a buyer's rights to purchase went. Retained as long as the attempts of its day: a partition holds a day (UTC).
-- A shard's rows of a sale are what a rebuild and the audit ask for. They come in nearly in the order of that index, so it
-- grows at its end, where an index on users would be written all over. Nothing asks for a time: there is no index on it.
create table right_transfers (
  decided_at timestamptz not null,
  epoch      bigint not null,
  batch      bigint not null,
  sale_id    bigint not null,
  total      integer not null,
  shard      smallint not null,
  n          smallint not null,
  peer       smallint not null,
  kind       smallint not null,
  user_id    text collate "C" not null
) partition by range (decided_at);
comment on table right_transfers is
  'Every right of a user to purchase that one shard lent to another, once where it was lent and once where it was received.';
comment on column right_transfers.decided_at is 'The clock of the shard''s Redis when its batch was decided.';
comment on column right_transfers.shard is 'In whose log it stands.';
comment on column right_transfers.epoch is 'With batch: the id of the log entry that it comes from.';
comment on column right_transfers.n is
  'Its place in the batch, from 0. A checkout that brought the right along is the attempt in the same place.';
comment on column right_transfers.peer is 'The other shard.';
comment on column right_transfers.kind is '1: lent to the peer. 2: got from the peer.';
comment on column right_transfers.total is 'How many rights of this user this shard has lent to the peer, or got from it, until then.';

create index right_transfers_sale on right_transfers (sale_id, shard);

-- As 001 has it, with one more table. To replace a function takes away what 005 and 006 gave it.
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
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, child,
      day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
  end loop;
end
$$;
comment on function ensure_attempts_partitions is
  'Makes the partitions of both attempts tables and of right_transfers for a day (UTC), if they are missing.';
do $$
begin
  execute format('alter function ensure_attempts_partitions(date) set search_path = %I, pg_temp', current_schema());
end
$$;

comment on column audits.epoch is 'With seq: how far Postgres had the log of the first shard.';
