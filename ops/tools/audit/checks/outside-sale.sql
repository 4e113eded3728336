-- Attempts that were decided in a sale (so not the outcomes for commands that named no listed sale: 9, 10, 16, 25) but name
-- one that is not on record, or name an item or were decided at a time that the sale does not have.
select 'checkout_attempts' as "table", a.sale_id as sale, a.item_index as item, a.user_id as user, a.outcome,
       a.decided_at, a.epoch, a.batch, a.n,
       case when s.sale_id is null then 'no such sale on record' else 'not an item or a time of the sale' end as problem
from checkout_attempts a
left join sales s using (sale_id)
where a.outcome not in (9, 10) and (a.sale_id = (select sale from asked) or (select sale from asked) is null)
  and (s.sale_id is null
       or a.outcome in (1, 2, 6, 7, 8) and (a.item_index not between 1 and s.items
                                            or a.decided_at < s.opens_at or a.decided_at >= s.closes_at))
union all
select 'purchase_attempts', a.sale_id, a.item_index, a.user_id, a.outcome, a.decided_at, a.epoch, a.batch, a.n,
       case when s.sale_id is null then 'no such sale on record' else 'not an item or a time of the sale' end
from purchase_attempts a
left join sales s using (sale_id)
where a.outcome <> 25 and (a.sale_id = (select sale from asked) or (select sale from asked) is null)
  and (s.sale_id is null
       or a.outcome = 21 and (a.item_index not between 1 and s.items or a.decided_at < s.opens_at
                              or a.decided_at >= s.closes_at + s.hold_seconds * interval '1 second'))
union all
select 'release_attempts', a.sale_id, a.item_index, a.user_id, a.outcome, a.decided_at, a.epoch, a.batch, a.n,
       case when s.sale_id is null then 'no such sale on record' else 'not an item or a time of the sale' end
from release_attempts a
left join sales s using (sale_id)
where a.outcome <> 16 and (a.sale_id = (select sale from asked) or (select sale from asked) is null)
  and (s.sale_id is null
       or a.outcome = 11 and (a.item_index not between 1 and s.items or a.decided_at < s.opens_at
                              or a.decided_at >= s.closes_at + s.hold_seconds * interval '1 second'))
