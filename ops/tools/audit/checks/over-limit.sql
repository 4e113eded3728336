-- Users with more purchases in a sale than its limit. Live holds are Redis' to count, see compare.ts.
select 'Postgres' as "where", sale_id as sale, user_id as user, count(*) as purchases, user_limit as "limit",
       string_agg(item_index::text, ' ' order by item_index) as items
from purchases join sales using (sale_id)
where sale_id = (select sale from asked) or (select sale from asked) is null
group by sale_id, user_id, user_limit
having count(*) > user_limit
