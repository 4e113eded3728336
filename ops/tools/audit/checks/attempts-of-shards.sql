-- Common table expressions for the queries of this folder: the attempts with whose log they are from.
checkouts as not materialized (
  select a.*, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
  from checkout_attempts a left join sales s on s.sale_id = a.sale_id
), tries as not materialized (
  select a.*, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
  from purchase_attempts a left join sales s on s.sale_id = a.sale_id
), releases as not materialized (
  select a.*, shard_of(a.item_index, coalesce(s.shards, 1::smallint), a.outcome) as shard
  from release_attempts a left join sales s on s.sale_id = a.sale_id
), bought as not materialized (
  select p.*, shard_of(p.item_index, coalesce(s.shards, 1::smallint), 21::smallint) as shard
  from purchases p left join sales s on s.sale_id = p.sale_id
)
