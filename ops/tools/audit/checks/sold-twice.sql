-- Items with more than one purchase, or with more than one accepted attempt. The primary key refuses the first as long
-- as it is there; the second would also be seen as an attempt without a purchase.
select 'purchases' as "table", sale_id as sale, item_index as item, count(*) as times,
       string_agg(format('%s at %s, log entry %s-%s, %s', user_id, to_json(purchased_at) #>> '{}', epoch, batch, n), '; '
                  order by epoch, batch, n) as who
from purchases
where sale_id = (select sale from asked) or (select sale from asked) is null
group by sale_id, item_index
having count(*) > 1
union all
select 'purchase_attempts', sale_id, item_index, count(*),
       string_agg(format('%s at %s, log entry %s-%s, %s', user_id, to_json(decided_at) #>> '{}', epoch, batch, n), '; '
                  order by epoch, batch, n)
from purchase_attempts
where outcome = 21 and (sale_id = (select sale from asked) or (select sale from asked) is null)
group by sale_id, item_index
having count(*) > 1
