-- The service's role adds rows and no tables: the function that makes a day's partitions acts as their owner. Its path is
-- fixed, so that nobody who calls it can put another table in the place of one that it names.

alter function ensure_attempts_partitions(date) security definer set search_path = public, pg_temp;
revoke execute on function ensure_attempts_partitions(date) from public;
