-- Purchases that the hold with their code does not allow: there is none, or it is somebody else's, or it had expired. Those of
-- retired days were looked at when they were retired. Of the others some have their hold in a retired day: as many as was kept.
with found as materialized (
  select p.*, h.user_id as holder, h.decided_at as held_at, h.expires_at, h.epoch as held_epoch, h.batch as held_batch, h.n as held_n
  from purchases p
  left join checkout_attempts h
    on h.sale_id = p.sale_id and h.item_index = p.item_index and h.nonce = p.nonce and h.outcome = 1
  where (p.sale_id = (select sale from asked) or (select sale from asked) is null)
    and (h.user_id is null or h.user_id <> p.user_id or p.purchased_at >= h.expires_at
         or (p.epoch, p.batch, p.n) <= (h.epoch, h.batch, h.n))
    and not exists (select from retired_days r where r.day = (p.purchased_at at time zone 'UTC')::date)
), judged as materialized (
  select f.*, f.holder is null and exists (
    select from retired_days r
    where r.day between ((f.purchased_at - s.hold_seconds * interval '1 second') at time zone 'UTC')::date
                    and (f.purchased_at at time zone 'UTC')::date) as may_be_retired
  from found f left join sales s using (sale_id)
), kept as (
  select coalesce(sum(purchased_later - held_before), 0) as count from retired_days
)
select case
         when holder is null then 'no hold has this code'
         when holder <> user_id then 'the hold is of another user'
         when purchased_at >= expires_at then 'the hold had expired'
         else 'the hold is younger than the purchase'
       end as problem,
       sale_id as sale, item_index as item, user_id as buyer, holder, purchased_at, held_at, expires_at
from judged
where not may_be_retired
union all
select format('%s purchases have no hold but in retired days, which have %s for them', count(judged.sale_id), min(kept.count)),
       null, null, null, null, null, null, null
from kept left join judged on may_be_retired
where (select sale from asked) is null
having count(judged.sale_id) <> min(kept.count)
