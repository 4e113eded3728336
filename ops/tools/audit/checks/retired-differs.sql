-- What was kept of retired days, against itself and against the purchases, which stayed. Attempts of such a day that are here all
-- the same came later, and are compared with the purchases too.
with days as (
  select day, sum(purchases) as purchases, sum(purchase_marks) as marks from retired_days group by day
), bought as (
  select day, sale_id, count(*) as purchases,
         sum(purchase_mark(sale_id, item_index, user_id, nonce, purchased_at, epoch, batch, n)) as marks
  from purchases join days on day = (purchased_at at time zone 'UTC')::date
  where sale_id = (select sale from asked) or (select sale from asked) is null
  group by day, sale_id
), accepted as (
  select day, sale_id, count(*) as purchases,
         sum(purchase_mark(sale_id, item_index, user_id, nonce, decided_at, epoch, batch, n)) as marks
  from purchase_attempts join days on day = (decided_at at time zone 'UTC')::date
  where outcome = 21 and (sale_id = (select sale from asked) or (select sale from asked) is null)
  group by day, sale_id
), counted as (
  select day, sale_id, sum(rows) as purchases
  from retired_counts
  where outcome = 21 and table_name = 'purchase_attempts'
    and (sale_id = (select sale from asked) or (select sale from asked) is null)
  group by day, sale_id
), sums as (
  select d.day, d.part, d.attempts, d.transfers,
         (select coalesce(sum(rows), 0) from retired_counts k
          where k.day = d.day and k.part = d.part and table_name <> 'right_transfers') as counted,
         (select coalesce(sum(rows), 0) from retired_counts k
          where k.day = d.day and k.part = d.part and table_name = 'right_transfers') as moved,
         (select coalesce(sum(attempts), 0) from retired_batches b where b.day = d.day and b.part = d.part) as logged
  from retired_days d
), unknown as (
  select distinct day, part from (select day, part from retired_counts union all select day, part from retired_batches) kept
  where not exists (select from retired_days d where d.day = kept.day and d.part = kept.part)
)
select 'as many purchases of a day and sale as attempts were accepted' as problem, day, sale_id as sale,
       coalesce(b.purchases, 0) as found, coalesce(k.purchases, 0) + coalesce(a.purchases, 0) as kept
from bought b full join counted k using (day, sale_id) full join accepted a using (day, sale_id)
where coalesce(b.purchases, 0) <> coalesce(k.purchases, 0) + coalesce(a.purchases, 0)
union all
select 'the purchases of a day are those that were accepted', day, null, null, null
from days d
left join (select day, sum(marks) as marks from bought group by day) b using (day)
left join (select day, sum(marks) as marks from accepted group by day) a using (day)
where (select sale from asked) is null and coalesce(b.marks, 0) <> d.marks + coalesce(a.marks, 0)
union all
select 'the attempts of a day, its counts and its log entries agree', day, null, greatest(counted, logged), attempts
from sums where (select sale from asked) is null and (attempts <> counted or attempts <> logged)
union all
select 'the moved rights of a day and its counts agree', day, null, moved, transfers
from sums where (select sale from asked) is null and moved <> transfers
union all
select 'what is kept is of a retired day', day, null, null, null
from unknown where (select sale from asked) is null
union all
select 'a sale with kept counts is on record', min(day), sale_id, sum(rows), 0
from retired_counts
where sale_id is not null and (sale_id = (select sale from asked) or (select sale from asked) is null)
  and not exists (select from sales s where s.sale_id = retired_counts.sale_id)
group by sale_id
