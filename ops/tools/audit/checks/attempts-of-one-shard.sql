-- Common table expressions for the queries of this folder: the attempts with whose log they are from. One shard decides all.
checkouts as not materialized (select *, 0::smallint as shard from checkout_attempts),
tries as not materialized (select *, 0::smallint as shard from purchase_attempts),
releases as not materialized (select *, 0::smallint as shard from release_attempts),
bought as not materialized (select *, 0::smallint as shard from purchases)
