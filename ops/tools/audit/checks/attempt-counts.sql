-- Attempts by sale and outcome, each sale's up to a place in the log of its own: $1 sales, $2 epochs, $3 seqs (arrays of
-- the same length), with the latest time at which one was decided. $4 and $5: the place for all others and for the outcomes of commands that named no listed sale
-- ($6, an array), which are counted together under the sale null and only in that epoch: a Redis that was rebuilt counts
-- them anew. $7: the one sale that was asked for, or null.
select sale_id::float8 as sale, outcome, sum(attempts)::float8 as attempts,
       (extract(epoch from max(decided_at)) * 1000)::float8 as "latestMs"
from (
  select case when outcome = any($6::smallint[]) then null else sale_id end as sale_id, outcome, epoch, batch, decided_at,
         1 as attempts
  from (
    select sale_id, outcome, epoch, batch, decided_at from checkout_attempts
    union all
    select sale_id, outcome, epoch, batch, decided_at from purchase_attempts
  ) a
  where sale_id = $7::bigint or $7 is null
) counted
left join unnest($1::bigint[], $2::bigint[], $3::bigint[]) as cut(sale_id, cut_epoch, cut_seq) using (sale_id)
where (epoch, batch) <= (coalesce(cut_epoch, $4::bigint), coalesce(cut_seq, $5::bigint))
  and (sale_id is not null or epoch = $4::bigint)
group by sale_id, outcome
