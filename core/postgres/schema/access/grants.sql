-- What the roles of roles.sql may do, as far as they exist. Run by the owner of the tables after the numbered files, at
-- each start; it only adds, so it may be repeated. What stands here is all: nobody but the owner may change or remove a
-- row of the record. A table that a numbered file adds needs its line here.

do $$
begin
  if to_regrole('hotcakes') <> current_user::regrole then
    execute format('grant usage on schema %I to hotcakes', current_schema());
    grant select, insert on checkout_attempts, purchase_attempts, release_attempts, right_transfers, purchases, log_epochs,
      audits to hotcakes;
    grant select, insert, update on sales to hotcakes;
    grant select, update on log_offsets to hotcakes;
    grant select on outcomes, attempts, attempts_partitions, schema_migrations to hotcakes;
    grant select on retired_days, retired_batches, retired_counts to hotcakes;
    grant execute on function ensure_attempts_partitions(date), index_attempts(date), shard_of(bigint, smallint, smallint)
      to hotcakes;
  end if;
  if to_regrole('hotcakes_reader') <> current_user::regrole then
    execute format('grant usage on schema %I to hotcakes_reader', current_schema());
    grant select on checkout_attempts, purchase_attempts, release_attempts, right_transfers, purchases, sales, outcomes,
      attempts, attempts_partitions, audits, log_offsets, log_epochs, schema_migrations to hotcakes_reader;
    grant select on retired_days, retired_batches, retired_counts to hotcakes_reader;
    grant execute on function shard_of(bigint, smallint, smallint) to hotcakes_reader;
  end if;
  if to_regrole('hotcakes_audit') <> current_user::regrole then
    grant insert on audits to hotcakes_audit;
  end if;
end
$$;
