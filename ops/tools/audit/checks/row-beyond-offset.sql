-- Rows of log entries that, by the offset, are not copied yet: they would be copied again.
select 'checkout_attempts' as "table", sale_id as sale, item_index as item, user_id as user, decided_at, epoch, batch, n
from checkout_attempts
where (epoch, batch) > (select epoch, seq from asked)
union all
select 'purchase_attempts', sale_id, item_index, user_id, decided_at, epoch, batch, n
from purchase_attempts
where (epoch, batch) > (select epoch, seq from asked)
union all
select 'purchases', sale_id, item_index, user_id, purchased_at, epoch, batch, n
from purchases
where (epoch, batch) > (select epoch, seq from asked)
