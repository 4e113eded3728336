-- The permanent record: every attempt that Redis decided, every purchase, every sale, and how far the log is copied.
--
-- Written by one COPY a table and transaction (workers/), tens of thousands of rows a second. So the attempts have no
-- primary key, no check and no foreign key: exactly once is the work of log_offsets, and `npm run audit` proves it.
-- Text that only machines compare is collated "C": comparing bytes makes the btree on buyers several times cheaper.

create table sales (
  sale_id      bigint primary key,
  opens_at     timestamptz not null,
  closes_at    timestamptz not null,
  items        integer not null,
  user_limit   integer not null,
  hold_seconds numeric(9, 3) not null
);
comment on table sales is 'The sales that were opened, with the terms they were opened with.';
comment on column sales.sale_id is 'Seconds since 1970 at its opening, divided by the interval between sales.';
comment on column sales.items is 'The items are <sale_id>-1 to <sale_id>-<items>.';
comment on column sales.user_limit is 'Live holds and purchases together that one user may have.';
comment on column sales.hold_seconds is 'How long a checkout holds its item.';

create table checkout_attempts (
  decided_at timestamptz not null,
  epoch      bigint not null,
  batch      bigint not null,
  sale_id    bigint not null,
  item_index bigint not null,
  expires_at timestamptz,
  n          smallint not null,
  outcome    smallint not null,
  user_id    text collate "C" not null,
  nonce      text collate "C"
) partition by range (decided_at);
comment on table checkout_attempts is 'Every decided POST /checkout, one row each; a partition holds a day (UTC).';
comment on column checkout_attempts.decided_at is 'Redis'' clock when its batch was decided.';
comment on column checkout_attempts.epoch is 'With batch: the id of the log entry that it comes from.';
comment on column checkout_attempts.n is 'Its place in the batch, from 0. (epoch, batch, n) is unique over both attempts tables.';
comment on column checkout_attempts.sale_id is 'The sale that the buyer named; it need not exist.';
comment on column checkout_attempts.item_index is 'The item that the buyer named; it need not exist.';
comment on column checkout_attempts.expires_at is 'End of the hold that the buyer got or has (held, held_again).';
comment on column checkout_attempts.outcome is 'See outcomes.';
comment on column checkout_attempts.nonce is 'Last part of the code that the buyer got (held, held_again).';

create index checkout_attempts_decided_at on checkout_attempts using brin (decided_at);
create index checkout_attempts_user on checkout_attempts (sale_id, user_id);

create table purchase_attempts (
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
comment on table purchase_attempts is 'Every decided POST /purchase, one row each; a partition holds a day (UTC).';
comment on column purchase_attempts.decided_at is 'Redis'' clock when its batch was decided.';
comment on column purchase_attempts.epoch is 'With batch: the id of the log entry that it comes from.';
comment on column purchase_attempts.n is 'Its place in the batch, from 0. (epoch, batch, n) is unique over both attempts tables.';
comment on column purchase_attempts.sale_id is 'The sale that the code named; it need not exist.';
comment on column purchase_attempts.item_index is 'The item that the code named; it need not exist.';
comment on column purchase_attempts.outcome is 'See outcomes.';
comment on column purchase_attempts.nonce is 'Last part of the code.';
comment on column purchase_attempts.user_id is 'Whose hold the code is (purchased, purchased_again); otherwise nobody is known.';

create index purchase_attempts_decided_at on purchase_attempts using brin (decided_at);
create index purchase_attempts_user on purchase_attempts (sale_id, user_id);

create table purchases (
  sale_id      bigint not null,
  item_index   bigint not null,
  purchased_at timestamptz not null,
  epoch        bigint not null,
  batch        bigint not null,
  n            smallint not null,
  user_id      text collate "C" not null,
  nonce        text collate "C" not null unique,
  primary key (sale_id, item_index)
);
comment on table purchases is 'What was sold. The primary key is what refuses a second sale of an item.';
comment on column purchases.epoch is 'With batch and n: the purchase attempt that succeeded.';
comment on column purchases.nonce is 'Last part of the code that bought it.';

create index purchases_user on purchases (sale_id, user_id);

-- A low fill factor: the row is updated several times a second, and each version fits on the same page.
create table log_offsets (
  shard smallint primary key,
  epoch bigint not null,
  seq   bigint not null
) with (fillfactor = 10);
comment on table log_offsets is 'How far the log in Redis is copied: everything up to the entry <epoch>-<seq> is in these tables, nothing after it.';
insert into log_offsets (shard, epoch, seq) values (0, 0, 0);

create function ensure_attempts_partitions(day date) returns void
language plpgsql as $$
declare
  parent text;
  child text;
begin
  -- Two persisters may see the same new day.
  perform pg_advisory_xact_lock(46822537, 1);
  foreach parent in array array['checkout_attempts', 'purchase_attempts'] loop
    child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    continue when to_regclass(quote_ident(child)) is not null;
    -- Attached and not created in place: that would wait for every reader of the parent, and readers for it.
    execute format('create table %I (like %I including all)', child, parent);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, child,
      day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
  end loop;
end
$$;
comment on function ensure_attempts_partitions is 'Makes the partitions of both attempts tables for a day (UTC), if they are missing.';
