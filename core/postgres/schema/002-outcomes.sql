-- For people: what the codes of outcomes mean, and one view over all attempts. A test holds the codes equal to
-- core/outcomes.ts; a later version adds codes by a file of its own.

create table outcomes (
  code      smallint primary key,
  name      text not null unique,
  operation text not null check (operation in ('checkout', 'purchase'))
);
comment on table outcomes is 'What the outcome of an attempt means.';

insert into outcomes (code, name, operation) values
  (1, 'held', 'checkout'),
  (2, 'held_again', 'checkout'),
  (3, 'item_unknown', 'checkout'),
  (4, 'sale_closed', 'checkout'),
  (5, 'sale_not_open', 'checkout'),
  (6, 'item_sold', 'checkout'),
  (7, 'item_held', 'checkout'),
  (8, 'user_limit_reached', 'checkout'),
  (9, 'sale_gone', 'checkout'),
  (10, 'sale_unlisted', 'checkout'),
  (21, 'purchased', 'purchase'),
  (22, 'purchased_again', 'purchase'),
  (23, 'code_unknown', 'purchase'),
  (24, 'code_expired', 'purchase'),
  (25, 'code_unlisted', 'purchase');

create view attempts as
select a.decided_at, o.operation, o.name as outcome, a.sale_id, a.item_index, a.user_id, a.nonce, a.expires_at,
       a.epoch, a.batch, a.n
from (
  select decided_at, sale_id, item_index, user_id, nonce, expires_at, epoch, batch, n, outcome from checkout_attempts
  union all
  select decided_at, sale_id, item_index, user_id, nonce, null, epoch, batch, n, outcome from purchase_attempts
) a
left join outcomes o on o.code = a.outcome;
comment on view attempts is 'All attempts with the names of their outcomes. Ask with sale_id and user_id, or with a range of decided_at.';
