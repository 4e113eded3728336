-- What stays of the days whose attempts were taken out of the record: `npm run retire` writes it in the step that drops them.
-- From it a sale's counts are told as before, and the audit knows what is gone: which log entries, and how many attempts.
-- A day has a second part when rows of it have come after it was retired, from a clock that was set back.

create table retired_days (
  day              date not null,
  part             smallint not null check (part > 0),
  retired_at       timestamptz not null default now(),
  manifest_sha256  text collate "C",
  attempts         bigint not null,
  transfers        bigint not null,
  purchases        bigint not null,
  purchase_marks   numeric not null,
  purchased_later  bigint not null,
  held_before      bigint not null,
  primary key (day, part)
);
comment on table retired_days is 'The days (UTC) whose attempts and right transfers are no longer here.';
comment on column retired_days.manifest_sha256 is 'SHA-256 of the manifest of their archive. Null: they were dropped without one.';
comment on column retired_days.purchases is 'How many of the attempts were accepted purchases. Their rows of purchases stay.';
comment on column retired_days.purchase_marks is 'The sum of purchase_mark over these.';
comment on column retired_days.purchased_later is 'Purchases of days that were not retired then, by holds of this day.';
comment on column retired_days.held_before is 'Purchases of this day by holds of days that were retired before.';

-- Ranges, because a sale that opens has an entry without attempts, and a clock may go back over midnight.
create table retired_batches (
  day         date not null,
  part        smallint not null,
  shard       smallint not null,
  epoch       bigint not null,
  first_batch bigint not null,
  last_batch  bigint not null check (last_batch >= first_batch),
  attempts    bigint not null,
  primary key (shard, epoch, first_batch)
);
comment on table retired_batches is 'The log entries of retired days that had attempts or right transfers, as ranges without a gap.';
comment on column retired_batches.attempts is 'How many attempts all entries of the range had.';

create table retired_counts (
  day        date not null,
  part       smallint not null,
  table_name text collate "C" not null,
  shard      smallint not null,
  epoch      bigint not null,
  sale_id    bigint,
  outcome    smallint not null,
  rows       bigint not null,
  latest_at  timestamptz not null
);
comment on table retired_counts is 'How many rows each table had of a retired day, by sale and outcome.';
comment on column retired_counts.sale_id is 'Null: they named no listed sale (outcomes 9, 10, 25).';
comment on column retired_counts.outcome is 'See outcomes; of right_transfers the kind.';
comment on column retired_counts.latest_at is 'When the last of them was decided.';
create index retired_counts_sale on retired_counts (sale_id);

-- SHA-256, which is the same in every Postgres on every machine; the built-in hashes of values are not promised to be.
create function purchase_mark(
  sale_id bigint, item_index bigint, user_id text, nonce text, at timestamptz, epoch bigint, batch bigint, n smallint
) returns numeric
language sql stable parallel safe as $$
  select ('x' || left(encode(sha256(convert_to(
    sale_id || ' ' || item_index || ' ' || nonce || ' ' || (extract(epoch from at) * 1000000)::bigint || ' ' || epoch || ' '
    || batch || ' ' || n || ' ' || user_id, 'UTF8')), 'hex'), 16))::bit(64)::bigint::numeric
$$;
comment on function purchase_mark is
  'A number that follows from all of a purchase. The sum of many tells whether they are the same ones, in any order.';
