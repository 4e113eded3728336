-- Rights that a shard has got and the other one has not lent. $1 sales, $2 shards, $3 epochs, $4 seqs: up to which place the
-- rows of those that got count, as in attempt-counts; $5 shards, $6 epochs, $7 seqs: for all others. Of what was lent all rows
-- count, and of those who lent only the shards $8: their logs are here to an end that was read after those places.
-- $9: the one sale that was asked for, or null.
-- Where the one who lent has begun another epoch since, a failover may have taken the loan out of its log: then Redis alone
-- knows of it, from the one who got it, which is compared too. The two times are of Redis' and of Postgres' clock, so a right
-- that was got within a minute after that is not looked at either. Of a sale with moved rights in a retired day the loans may be gone.
with got as (
  select sale_id, shard, peer, user_id, max(total) as total, max(decided_at) as got_at
  from right_transfers r
  join unnest($5::smallint[], $6::bigint[], $7::bigint[]) as other(shard, other_epoch, other_seq) using (shard)
  left join unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[]) as cut(sale_id, shard, cut_epoch, cut_seq)
    using (sale_id, shard)
  where kind = 2 and peer = any($8::smallint[]) and (sale_id = $9::bigint or $9 is null)
    and (epoch, batch) <= (coalesce(cut_epoch, other_epoch), coalesce(cut_seq, other_seq))
  group by sale_id, shard, peer, user_id
), lent as (
  select sale_id, shard, peer, user_id, max(total) as total
  from right_transfers
  where kind = 1 and (sale_id = $9::bigint or $9 is null)
  group by sale_id, shard, peer, user_id
)
select 'Postgres' as "where", g.sale_id as sale, g.user_id as user, g.shard, g.total as got, g.peer as "from",
       coalesce(l.total, 0) as lent
from got g
left join lent l on l.sale_id = g.sale_id and l.shard = g.peer and l.peer = g.shard and l.user_id = g.user_id
where g.total > coalesce(l.total, 0)
  and not exists (select from retired_counts k where k.sale_id = g.sale_id and k.table_name = 'right_transfers')
  and not exists (
    select from log_epochs e
    where e.shard = g.peer and e.begun_at > g.got_at - interval '1 minute'
      and e.epoch > (select min(epoch) from log_epochs first where first.shard = g.peer))
