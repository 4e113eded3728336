-- Attempts by sale, shard and outcome, each up to a place in the shard's log: $1 sales, $2 their shards, $3 epochs, $4 seqs
-- (arrays of the same length), with the latest time at which one was decided. $5 shards, $6 epochs, $7 seqs: the place for all
-- others and for the outcomes of commands that named no listed sale ($8, an array). Those are counted together under the sale
-- null, and from the epoch $9 on: a Redis that was rebuilt counts them anew. $10: the one sale that was asked for, or null.
-- Of retired days the kept counts are taken whole: no place is after the end of a day that was retired.
select sale_id::float8 as sale, shard, outcome, sum(rows)::float8 as attempts,
       (extract(epoch from max(decided_at)) * 1000)::float8 as "latestMs"
from (
  select case when outcome = any($8::smallint[]) then null else sale_id end as sale_id, shard, outcome, epoch, batch,
         1 as rows, decided_at
  from (
    select sale_id, shard, outcome, epoch, batch, decided_at from checkouts
    union all
    select sale_id, shard, outcome, epoch, batch, decided_at from tries
    union all
    select sale_id, shard, outcome, epoch, batch, decided_at from releases
  ) a
  where sale_id = $10::bigint or $10 is null
  union all
  select sale_id, shard, outcome, epoch, 0, rows, latest_at from retired_counts
  where table_name <> 'right_transfers' and (sale_id = $10::bigint or $10 is null)
) counted
join unnest($5::smallint[], $6::bigint[], $7::bigint[]) as other(shard, other_epoch, other_seq) using (shard)
left join unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[]) as cut(sale_id, shard, cut_epoch, cut_seq)
  using (sale_id, shard)
where (epoch, batch) <= (coalesce(cut_epoch, other_epoch), coalesce(cut_seq, other_seq))
  and (sale_id is not null or epoch >= $9::bigint)
group by sale_id, shard, outcome
