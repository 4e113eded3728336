import { Fault } from '../faults.ts'
import { postgresStatementTimeoutMs } from '../limits.ts'
import type { PostgresOptions } from './conninfo.ts'
import type { Parameter } from './parameter.ts'

/**
 * What each connection sets before anything else, in one statement: PgBouncer refuses a connection that brings such
 * settings along (`options`). And in which schema it works, whatever the role's search_path says: the one where the tables
 * were set up. That is the first on the path that has them, or else the only one in the database that the role may use.
 * Who sets the tables up ($2) and may do so on its own path doesn't look elsewhere: there they may be another shop's.
 * pg_temp comes last, so that no temporary table can take the place of one of ours. Without tables the path stays as it is.
 */
export const sessionStatement = `
  with installed as (
    select n.nspname, array_position(current_schemas(false), n.nspname) as place
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'digest'
    where c.relname = 'schema_migrations' and c.relkind = 'r' and c.relpersistence <> 't'
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
  ), chosen as (
    select coalesce(
      (select nspname from installed where place is not null order by place limit 1),
      (select min(nspname::text)::name from installed
       where not $2::boolean or not coalesce(has_schema_privilege(current_schema(), 'create'), false) having count(*) = 1)
    ) as schema
  )
  select schema::text, (select string_agg(nspname::text, ', ' order by nspname) from installed) as installed,
    set_config('client_min_messages', 'warning', false), set_config('statement_timeout', $1, false),
    case when schema is not null then set_config('search_path', quote_ident(schema) || ', pg_temp', false) end
  from chosen`

export interface SessionRow {
  /** null: there are no tables yet, or in several schemas. */
  readonly schema: string | null
  readonly installed: string | null
}

export function sessionParameters({ statementTimeoutMs, maySetUp = false }: PostgresOptions): Parameter[] {
  return [statementTimeoutMs ?? postgresStatementTimeoutMs, maySetUp ? 'true' : 'false']
}

/** @throws Fault HC_SCHEMA when the session could work in several schemas */
export function assertOneSchema(row: SessionRow | undefined, user: string): void {
  if (row === undefined || row.schema !== null || row.installed === null) return
  throw new Fault(
    'HC_SCHEMA',
    `there are tables in ${row.installed}, and the search_path of user ${user} names another schema: set it to the one ` +
      'that is meant (for a second shop with tables of its own use a database of its own)',
  )
}
