-- Purchases that the hold with their code does not allow: there is none, or it is somebody else's, or it had expired.
select case
         when h.user_id is null then 'no hold has this code'
         when h.user_id <> p.user_id then 'the hold is of another user'
         when p.purchased_at >= h.expires_at then 'the hold had expired'
         else 'the hold is younger than the purchase'
       end as problem,
       p.sale_id as sale, p.item_index as item, p.user_id as buyer, h.user_id as holder, p.purchased_at,
       h.decided_at as held_at, h.expires_at
from purchases p
left join checkout_attempts h
  on h.sale_id = p.sale_id and h.item_index = p.item_index and h.nonce = p.nonce and h.outcome = 1
where (p.sale_id = (select sale from asked) or (select sale from asked) is null)
  and (h.user_id is null or h.user_id <> p.user_id or p.purchased_at >= h.expires_at
       or (p.epoch, p.batch, p.n) <= (h.epoch, h.batch, h.n))
