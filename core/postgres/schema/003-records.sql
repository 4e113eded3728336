-- What the HTTP API reads besides: the purchases of one buyer over all sales, and what the audits found.

-- In the place of the index on (sale_id, user_id): a purchase pays for as many indexes as before.
create index purchases_buyer on purchases (user_id, sale_id, item_index);
drop index purchases_user;

create table audits (
  audit_id   bigint generated always as identity primary key,
  sale_id    bigint,
  verdict    text not null check (verdict in ('passed', 'breached', 'incomplete')),
  started_at timestamptz not null,
  epoch      bigint not null,
  seq        bigint not null
);
comment on table audits is 'What each run of the audit found.';
comment on column audits.sale_id is 'The one sale that it looked at; null: the whole record.';
comment on column audits.started_at is 'By the clock of the machine that it ran on.';
comment on column audits.epoch is 'With seq: how far Postgres had the log.';
create index audits_sale on audits (sale_id, audit_id);
