-- Who this record is, so that a Redis of another one can be told from ours that has lost something.
alter table log_offsets add column record uuid not null default gen_random_uuid();
comment on column log_offsets.record is 'The identity of this record. Redis carries it as well, and is refused with another one.';
