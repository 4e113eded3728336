import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Fault } from '../faults.ts'
import { schemaStatementTimeoutMs } from '../limits.ts'
import { connectPostgres, type Postgres } from './connection.ts'
import type { PostgresSettings } from './conninfo.ts'

/** One numbered SQL file. `digest` is the SHA-256 of its bytes, hexadecimal. */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
  readonly digest: string
}

interface AppliedMigration {
  readonly number: number
  readonly name: string
  readonly digest: string
}

/** Any number that nobody else takes in this database: 'hotcakes' in a phone's letters. */
const advisoryLock = 46822537

export interface SchemaSettings extends PostgresSettings {
  /** Who owns the tables; '' when that is `user`. */
  readonly ownerUser: string
  readonly ownerPassword: string
}

/** To connect as the owner of the tables. */
export function asOwner(settings: SchemaSettings): PostgresSettings {
  const { ownerUser, ownerPassword } = settings
  return ownerUser === '' ? settings : { ...settings, user: ownerUser, password: ownerPassword }
}

/**
 * Brings the database to the schema of the files in `folder`: each that is missing is applied in a transaction of its
 * own, under a lock that makes a second server wait. The owner then grants what access/grants.sql names. Blocks.
 * Answers the names of the files it applied.
 * @throws Fault HC_SCHEMA when the database knows a file that we don't, a file was changed after it was applied, or one
 *   is missing and the user may not apply it; HC_POSTGRES_UNAVAILABLE | HC_POSTGRES_REFUSED
 */
export function migrate(
  settings: SchemaSettings,
  folder: URL,
  say: (event: string, details: { migration: string }) => void,
): string[] {
  const migrations = readMigrations(folder)
  const owner = asOwner(settings)
  const postgres = connectPostgres(owner, {
    applicationName: 'hotcakes schema',
    statementTimeoutMs: schemaStatementTimeoutMs,
  })
  try {
    // The lock is the session's: it goes when the connection closes, whatever happens.
    postgres.query('select pg_advisory_lock($1)', [advisoryLock])
    const missing = missingMigrations(migrations, appliedMigrations(postgres))
    const isOwner = mayChange(postgres)
    if (missing.length > 0 && !isOwner) throw notOwner(owner, missing)
    for (const migration of missing) {
      postgres.transaction(() => apply(postgres, migration))
      say('schema file applied', { migration: migration.name })
    }
    const grants = new URL('access/grants.sql', folder)
    if (isOwner && existsSync(grants)) postgres.query(readFileSync(grants, 'utf8'))
    return missing.map(({ name }) => name)
  } finally {
    postgres.close()
  }
}

/** The files `<three digits>-<name>.sql` of the folder in order of their numbers, which run from 1 without gaps. */
export function readMigrations(folder: URL): Migration[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'))
  return names.toSorted().map((name, at) => {
    const number = Number(/^(\d{3})-[a-z0-9-]+\.sql$/.exec(name)?.[1])
    if (number !== at + 1) {
      throw new Fault('HC_SCHEMA', `${fileURLToPath(folder)}: ${name} is not the file with the number ${at + 1}`)
    }
    const sql = readFileSync(new URL(name, folder), 'utf8')
    return { number, name, sql, digest: createHash('sha256').update(sql).digest('hex') }
  })
}

/** @throws Fault HC_SCHEMA */
export function missingMigrations(known: readonly Migration[], applied: readonly AppliedMigration[]): Migration[] {
  for (const { number, name, digest } of applied) {
    const ours = known[number - 1]
    if (ours === undefined) {
      throw new Fault(
        'HC_SCHEMA',
        `the database is newer than this version: it has ${name}, the last known is ${known.at(-1)?.name}`,
      )
    }
    if (ours.digest !== digest) {
      throw new Fault(
        'HC_SCHEMA',
        `the database has another ${name} than this version has: applied files must not change`,
      )
    }
  }
  return known.slice(applied.length)
}

function appliedMigrations(postgres: Postgres): AppliedMigration[] {
  // Looked up first, so that a user who may not create tables can start on a database that is set up.
  const [found] = postgres.query<{ exists: boolean }>("select to_regclass('schema_migrations') is not null as exists")
  if (found?.exists !== true) {
    if (!mayChange(postgres)) return []
    postgres.query(`
      create table schema_migrations (
        number integer primary key, name text not null, digest text not null,
        applied_at timestamptz not null default now()
      );
      comment on table schema_migrations is 'The files of ops/postgres that were applied, with the SHA-256 of each.'`)
  }
  return postgres.query<AppliedMigration>('select number, name, digest from schema_migrations order by number', [])
}

/** Whether the user owns the tables or, before there are any, may make them. */
function mayChange(postgres: Postgres): boolean {
  const [may] = postgres.query<{ change: boolean }>(
    `select case when to_regclass('schema_migrations') is null
       then coalesce(has_schema_privilege(current_schema(), 'create'), false)
       else (select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('schema_migrations'))
     end as change`,
  )
  return may?.change === true
}

function notOwner({ user, name }: PostgresSettings, missing: readonly Migration[]): Fault {
  const files = missing.map((migration) => migration.name).join(', ')
  return new Fault(
    'HC_SCHEMA',
    `database ${name} lacks ${files}, and user ${user} may not set up its tables: give the server their owner as ` +
      'DB_OWNER_USER and DB_OWNER_PASSWORD for one start, or for every one',
  )
}

function apply(postgres: Postgres, { number, name, sql, digest }: Migration): void {
  postgres.query(sql)
  postgres.query('insert into schema_migrations (number, name, digest) values ($1, $2, $3)', [number, name, digest])
}
