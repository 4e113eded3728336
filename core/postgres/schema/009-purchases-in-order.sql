-- The purchases in the order of the log, for whoever follows them. A BRIN, because rows are appended nearly in that order: a
-- row pays a fraction of a microsecond for it, where a btree costs five. minmax_multi: the logs of several shards lie mixed,
-- each with numbers of its own, and a page range keeps them apart. On rows that are there it is a scan, a second for a
-- million on two busy cores: a persister beside it waits, and the log with it.
create index purchases_position on purchases using brin (epoch int8_minmax_multi_ops, batch int8_minmax_multi_ops);

-- Pages that were not vacuumed yet are all read: so many rows at most, and those of a minute.
alter table purchases set (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
