-- 005 named the schema public, wherever the tables are: in a schema of their own no day got its partitions, and no row was
-- written. Each connection of the server works in the schema of its tables, and so does this file.

do $$
begin
  execute format('alter function ensure_attempts_partitions(date) set search_path = %I, pg_temp', current_schema());
end
$$;
