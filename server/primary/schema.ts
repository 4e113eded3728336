import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Fault } from '../../core/faults.ts'
import { proofMsMax, schemaLockMsMax, schemaStatementTimeoutMs } from '../../core/limits.ts'
import { partitionsLock, schemaLock } from '../../core/postgres/advisory-locks.ts'
import { type AsyncConnection, connectAsync } from '../../core/postgres/async-connection.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { asOwner, type SchemaSettings } from '../../core/postgres/owner.ts'
import { lockNotAvailable, PostgresFault } from '../../core/postgres/postgres-fault.ts'
import { startTimeLimit } from '../../core/time-limit.ts'
import { LockWatch } from './lock-watch.ts'
import { addShards } from './shard-rows.ts'

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

/** The table of what was applied; core/postgres/session.ts finds the schema by it. */
export const migrationsTable = `
  create table schema_migrations (
    number integer primary key, name text not null, digest text not null,
    applied_at timestamptz not null default now()
  );
  comment on table schema_migrations is 'The files of core/postgres/schema that were applied, with the SHA-256 of each.'`

export interface MigrateOptions {
  /** How many shards the record must be of at least. */
  readonly shards: number
  /** Of each file that was applied. */
  readonly onApplied: (migration: string) => void
  /** What it waits for, in sentences for people. */
  readonly onWait: (sentence: string) => void
  /** Ends it: what a statement under way has done is undone. */
  readonly signal: AbortSignal
}

/**
 * Brings the database to the schema of the files in `folder`: each that is missing is applied in a transaction of its
 * own, under a lock that makes a second server wait. The owner then grants what access/grants.sql names, and adds the shards
 * that are missing.
 * Answers the schema, the names of the files it applied, and the numbers of the shards it added.
 * @throws Fault HC_SCHEMA when the database knows a file that we don't, a file was changed after it was applied, or one
 *   or a shard is missing and the user may not add it; HC_SCHEMA_BUSY | HC_POSTGRES_UNAVAILABLE | HC_POSTGRES_REFUSED; the signal's
 *   reason
 */
export async function migrate(
  settings: SchemaSettings,
  folder: URL,
  options: MigrateOptions,
): Promise<{ schema: string; applied: string[]; added: readonly number[] }> {
  const { signal, onWait, shards } = options
  const migrations = readMigrations(folder)
  const owner = asOwner(settings)
  const connection = await connectAsync(owner, {
    applicationName: 'hotcakes schema',
    maySetUp: true,
    // So that a wait for the lock ends first, which says more.
    statementTimeoutMs: schemaStatementTimeoutMs + schemaLockMsMax,
    onEnd: () => undefined,
  })
  const stop = (): void => connection.giveUp(new PostgresFault('given up'))
  signal.addEventListener('abort', stop)
  let watch: LockWatch | undefined
  try {
    signal.throwIfAborted()
    watch = await within(proofMsMax, stop, async () => {
      await endWithClient(connection)
      return LockWatch.over(connection, owner, onWait)
    })
    const schema = await within(proofMsMax, stop, () => workingSchema(connection))
    if (schema === undefined)
      throw notOwner(owner, migrations, ' (no schema of its search_path is there and its to use)')
    const grants = new URL('access/grants.sql', folder)
    const text = existsSync(grants) ? readFileSync(grants, 'utf8') : ''
    const set = { connection, watch, owner, migrations, grants: text, shards }
    const applied: string[] = []
    const next = (): Promise<Applied> => within(2 * schemaStatementTimeoutMs + proofMsMax, stop, () => applyNext(set))
    for (;;) {
      const { file, added } = await next()
      if (file === undefined) return { schema, applied, added }
      options.onApplied(file)
      applied.push(file)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    await watch?.close()
  }
}

/** Of a connection that has died without a word libpq says nothing: then `stop` ends what waits for it. */
async function within<Result>(msMax: number, stop: () => void, work: () => Promise<Result>): Promise<Result> {
  const endLimit = startTimeLimit(msMax, stop)
  try {
    return await work()
  } finally {
    endLimit()
  }
}

/** So that a statement whose server was stopped or killed is undone within a second, instead of going on for itself. */
async function endWithClient(connection: AsyncConnection): Promise<void> {
  try {
    await connection.query({ text: `set client_connection_check_interval = '1s'` })
  } catch (error) {
    // On some systems Postgres can't: then the statement ends by itself, and its transaction is rolled back.
    if (!(error instanceof PostgresFault) || error.code !== 'HC_POSTGRES_REFUSED') throw error
  }
}

/** The schema that the tables are in or, before there are any, will be in; undefined: the user may use none of its path. */
async function workingSchema(connection: AsyncConnection): Promise<string | undefined> {
  const [row] = await connection.query<{ schema: string | null }>({
    text: `select current_schema() as schema, set_config('search_path', quote_ident(current_schema()) || ', pg_temp', false)`,
  })
  return row?.schema ?? undefined
}

interface MigrationSet {
  readonly connection: AsyncConnection
  readonly watch: LockWatch
  readonly owner: PostgresSettings
  readonly migrations: readonly Migration[]
  readonly grants: string
  readonly shards: number
}

interface Applied {
  /** The file's name; undefined when none was missing, and the rights are granted. */
  readonly file: string | undefined
  /** The shards that were added then. */
  readonly added: readonly number[]
}

/** One transaction, and one hold of the lock: a pooler might keep a lock of the session for ever. */
async function applyNext({ connection, watch, owner, migrations, grants, shards }: MigrationSet): Promise<Applied> {
  let doing = 'set up the tables'
  try {
    return await connection.transaction(async () => {
      await connection.query({ text: `set local lock_timeout = ${schemaStatementTimeoutMs}` })
      const locked = connection.query.bind(connection, { text: 'select pg_advisory_xact_lock($1)' }, [schemaLock])
      await watch.during(doing, locked)
      await connection.query({ text: `set local lock_timeout = ${schemaLockMsMax}` })
      // Another server that begins a day changes the same rows of the catalogue: "tuple concurrently updated".
      const keptOut = connection.query.bind(
        connection,
        { text: 'select pg_advisory_xact_lock($1, $2)' },
        partitionsLock,
      )
      await watch.during(doing, keptOut)
      const applied = await appliedMigrations(connection)
      const isOwner = await mayChange(connection)
      const missing = missingMigrations(migrations, applied ?? [])
      const [next] = missing
      doing = next === undefined ? 'grant the rights to the tables' : `apply ${next.name}`
      if (next === undefined) {
        if (isOwner && grants !== '') await watch.during(doing, () => connection.script(grants))
        return { file: undefined, added: await addShards(connection, { shards, user: owner.user, isOwner }) }
      }
      if (!isOwner) throw notOwner(owner, missing)
      if (applied === undefined) await connection.script(migrationsTable)
      await watch.during(doing, () => apply(connection, next))
      return { file: next.name, added: [] }
    })
  } catch (error) {
    if (!(error instanceof PostgresFault) || error.sqlState !== lockNotAvailable) throw error
    throw new Fault('HC_SCHEMA_BUSY', `could not ${doing}: the lock was held too long by ${watch.holders}`)
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

/** undefined: there is no table of them yet. */
async function appliedMigrations(connection: AsyncConnection): Promise<AppliedMigration[] | undefined> {
  // Looked up first, so that a user who may not create tables can start on a database that is set up.
  const [found] = await connection.query<{ exists: boolean }>({
    text: "select to_regclass('schema_migrations') is not null as exists",
  })
  if (found?.exists !== true) return undefined
  return connection.query<AppliedMigration>({
    text: 'select number, name, digest from schema_migrations order by number',
  })
}

/** Whether the user owns the tables or, before there are any, may make them. */
async function mayChange(connection: AsyncConnection): Promise<boolean> {
  const [may] = await connection.query<{ change: boolean }>({
    text: `select case when to_regclass('schema_migrations') is null
       then coalesce(has_schema_privilege(current_schema(), 'create'), false)
       else (select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('schema_migrations'))
     end as change`,
  })
  return may?.change === true
}

function notOwner({ user, name }: PostgresSettings, missing: readonly Migration[], why = ''): Fault {
  const files = missing.map((migration) => migration.name).join(', ')
  return new Fault(
    'HC_SCHEMA',
    `database ${name} lacks ${files}, and user ${user} may not set up its tables${why}: give the server their owner as ` +
      'DB_OWNER_USER and DB_OWNER_PASSWORD for one start, or for every one',
  )
}

async function apply(connection: AsyncConnection, { number, name, sql, digest }: Migration): Promise<void> {
  await connection.script(sql)
  await connection.query({ text: 'insert into schema_migrations (number, name, digest) values ($1, $2, $3)' }, [
    number,
    name,
    digest,
  ])
}
