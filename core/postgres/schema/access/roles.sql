-- The roles and the database, for a PostgreSQL (14 or later) of your own. An administrator runs it with psql; it may be
-- repeated, also on a database that was set up with one role for everything. docs/ACCESS.md says how.
--
--   hotcakes_owner   owns the tables and sets them up: DB_OWNER_USER
--   hotcakes         adds the record, and reads it: DB_USER
--   hotcakes_audit   reads everything, and leaves the audit's verdict: DB_USER of `npm run audit`
--   hotcakes_reader  reads everything, for dashboards and people
--
-- None is a superuser, none may make roles or databases. What each may do with the tables: grants.sql.

\set ON_ERROR_STOP on
\getenv owner_password HOTCAKES_OWNER_PASSWORD
\getenv service_password HOTCAKES_PASSWORD
\getenv audit_password HOTCAKES_AUDIT_PASSWORD
\getenv reader_password HOTCAKES_READER_PASSWORD

set password_encryption = 'scram-sha-256';
select format('create role %I login', name)
from unnest(array['hotcakes_owner', 'hotcakes', 'hotcakes_audit', 'hotcakes_reader']) as name
where to_regrole(name) is null \gexec

alter role hotcakes_owner password :'owner_password';
alter role hotcakes password :'service_password';
alter role hotcakes_audit password :'audit_password';
alter role hotcakes_reader password :'reader_password';
grant hotcakes_reader to hotcakes_audit;
-- So that the owner may end the service's sessions, and take over what it owned.
grant hotcakes to hotcakes_owner;

select 'create database hotcakes owner hotcakes_owner'
where not exists (select from pg_database where datname = 'hotcakes') \gexec
alter database hotcakes owner to hotcakes_owner;
revoke all on database hotcakes from public;
grant connect on database hotcakes to hotcakes, hotcakes_audit, hotcakes_reader;

\connect hotcakes
reassign owned by hotcakes to hotcakes_owner;
alter schema public owner to hotcakes_owner;
revoke all on schema public from public;
