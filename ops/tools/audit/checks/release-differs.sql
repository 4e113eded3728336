-- Releases that the hold with their code does not allow: there is none, or it is somebody else's, or it was over, or it was
-- purchased, or it was released before. Where its hold may be in a retired day, nothing is said of a hold that is missing.
with released as (
  select r.*, row_number() over (partition by sale_id, item_index, nonce order by epoch, batch, n) as time
  from release_attempts r
  where outcome = 11 and (sale_id = (select sale from asked) or (select sale from asked) is null)
)
select case
         when r.time > 1 then 'it was released before'
         when p.nonce is not null then 'it was purchased'
         when h.user_id is null then 'no hold has this code'
         when h.user_id <> r.user_id then 'the hold is of another user'
         when r.decided_at >= h.expires_at then 'the hold had expired'
         else 'the hold is younger than the release'
       end as problem,
       r.sale_id as sale, r.item_index as item, r.user_id as user, h.user_id as holder, r.decided_at,
       h.decided_at as held_at, h.expires_at, r.epoch, r.batch, r.n
from released r
left join checkout_attempts h
  on h.sale_id = r.sale_id and h.item_index = r.item_index and h.nonce = r.nonce and h.outcome = 1
left join purchases p on p.sale_id = r.sale_id and p.item_index = r.item_index and p.nonce = r.nonce
where r.time > 1 or p.nonce is not null or h.user_id <> r.user_id or r.decided_at >= h.expires_at
  or h.user_id is null and not exists (
    select from retired_days d left join sales s on s.sale_id = r.sale_id
    where d.day between ((r.decided_at - s.hold_seconds * interval '1 second') at time zone 'UTC')::date
                    and (r.decided_at at time zone 'UTC')::date)
  or (r.epoch, r.batch, r.n) <= (h.epoch, h.batch, h.n)
