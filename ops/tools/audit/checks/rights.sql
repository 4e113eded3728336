-- What is on record of the rights that the shard $2 of the sale $1 has lent to each other one and got from it, up to the place
-- $3 (epoch) $4 (seq) in its log; and, of all that is here, what the other says of the same: taken and given.
select user_id as "user", peer,
       coalesce(max(total) filter (where what = 'lent'), 0)::int as lent,
       coalesce(max(total) filter (where what = 'got'), 0)::int as got,
       coalesce(max(total) filter (where what = 'taken'), 0)::int as taken,
       coalesce(max(total) filter (where what = 'given'), 0)::int as given
from (
  select user_id, peer, case kind when 1 then 'lent' else 'got' end as what, total
  from right_transfers
  where sale_id = $1::bigint and shard = $2::smallint and (epoch, batch) <= ($3::bigint, $4::bigint)
  union all
  select user_id, shard, case kind when 1 then 'given' else 'taken' end, total
  from right_transfers
  where sale_id = $1::bigint and peer = $2::smallint
) moved
group by user_id, peer
