-- Rows of log entries that, by the offset of their shard, are not copied yet: they would be copied again. Where a shard has no
-- offset it has no log.
select 'checkout_attempts' as "table", shard, sale_id as sale, item_index as item, user_id as user, decided_at, c.epoch,
       batch, n
from checkouts c left join log_offsets o using (shard)
where o.epoch is null or (c.epoch, c.batch) > (o.epoch, o.seq)
union all
select 'purchase_attempts', shard, sale_id, item_index, user_id, decided_at, t.epoch, batch, n
from tries t left join log_offsets o using (shard)
where o.epoch is null or (t.epoch, t.batch) > (o.epoch, o.seq)
union all
select 'release_attempts', shard, sale_id, item_index, user_id, decided_at, r.epoch, batch, n
from releases r left join log_offsets o using (shard)
where o.epoch is null or (r.epoch, r.batch) > (o.epoch, o.seq)
union all
select 'purchases', shard, sale_id, item_index, user_id, purchased_at, b.epoch, batch, n
from bought b left join log_offsets o using (shard)
where o.epoch is null or (b.epoch, b.batch) > (o.epoch, o.seq)
union all
select 'right_transfers', shard, sale_id, null, user_id, decided_at, r.epoch, batch, n
from right_transfers r left join log_offsets o using (shard)
where o.epoch is null or (r.epoch, r.batch) > (o.epoch, o.seq)
union all
select 'retired_batches', shard, null, null, null, null, b.epoch, last_batch, null
from retired_batches b left join log_offsets o using (shard)
where o.epoch is null or (b.epoch, b.last_batch) > (o.epoch, o.seq)
