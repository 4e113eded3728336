-- Accepted attempts that are not in purchases exactly as they are, and purchases that no accepted attempt is. "All": so
-- that a row that is there twice needs its equal twice. Of retired days retired-differs.sql compares the sums.
with retired as (
  select distinct day from retired_days
), accepted as (
  select sale_id, item_index, user_id, nonce, decided_at as at, epoch, batch, n
  from purchase_attempts
  where outcome = 21 and (sale_id = (select sale from asked) or (select sale from asked) is null)
    and not exists (select from retired where day = (decided_at at time zone 'UTC')::date)
), bought as (
  select sale_id, item_index, user_id, nonce, purchased_at as at, epoch, batch, n
  from purchases
  where (sale_id = (select sale from asked) or (select sale from asked) is null)
    and not exists (select from retired where day = (purchased_at at time zone 'UTC')::date)
)
select 'accepted, but no purchase' as problem, sale_id as sale, item_index as item, user_id as user, at, epoch, batch, n
from (select * from accepted except all select * from bought) a
union all
select 'a purchase, but not accepted', sale_id, item_index, user_id, at, epoch, batch, n
from (select * from bought except all select * from accepted) b
