import type { Config } from '../../core/config/load.ts'
import { Fault } from '../../core/faults.ts'
import { postgresConnectionsBeside, postgresConnectionsPerWorker, proofMsMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { type AsyncConnection, connectAsync } from '../../core/postgres/async-connection.ts'
import { shardCountOf, shardsText } from '../../core/postgres/log-offset.ts'
import { asOwner } from '../../core/postgres/owner.ts'
import { PostgresFault } from '../../core/postgres/postgres-fault.ts'
import { startTimeLimit } from '../../core/time-limit.ts'
import { LockWatch } from './lock-watch.ts'
import { assertOwnSessions } from './pooling.ts'
import { migrate } from './schema.ts'
import { proveWritable } from './write-proof.ts'

export interface DatabaseStartOptions {
  readonly config: Config
  readonly log: Log
  readonly signal: AbortSignal
  /** How many shards there must be at least: APP_SHARDS. */
  readonly shards: number
  /** The numbered SQL files. */
  readonly schemaFolder: URL
}

/**
 * Brings the database to where rows can be written to it, and proves that they can, as the role that will write them.
 * Returns how many shards the installation has: what was asked for, or more.
 * @throws Fault HC_POSTGRES_POOLED | HC_SCHEMA | HC_SCHEMA_BUSY | HC_POSTGRES_REFUSED: it will not work;
 *   HC_POSTGRES_UNAVAILABLE: not yet; the signal's reason
 */
export async function startDatabase(options: DatabaseStartOptions): Promise<{ readonly shardCount: number }> {
  const { config, log, signal, shards, schemaFolder } = options
  const { db } = config
  await assertOwnSessions(db, signal)
  if (db.ownerUser !== '') await assertOwnSessions(asOwner(db), signal)
  const { schema, added } = await migrate(db, schemaFolder, {
    shards,
    onApplied: (migration) => log.info({ migration }, 'schema file applied'),
    onWait: (sentence) => log.warn(sentence),
    signal,
  })
  if (added.length > 0) log.info({ shards: added }, 'the record is of more shards from now on')
  return await asService({ config, signal }, async (connection) => {
    await assertSameSchema(connection, { config, schema })
    const shardCount = shardCountOf(await connection.query<{ shard: number }>({ text: shardsText }))
    const watch = await LockWatch.over(connection, db, (sentence) => log.warn(sentence))
    try {
      const isProven = await watch.during('prove that the record can be written', () =>
        proveWritable(connection, db.user),
      )
      if (!isProven) log.warn(`whether the record can be written is not proven: a lock is held by ${watch.holders}`)
    } finally {
      await watch.close()
    }
    await warnOfFewConnections(connection, { config, log })
    return { shardCount }
  })
}

/** Runs `work` on a connection of the role that serves. */
async function asService<Result>(
  { config, signal }: Pick<DatabaseStartOptions, 'config' | 'signal'>,
  work: (connection: AsyncConnection) => Promise<Result>,
): Promise<Result> {
  const connection = await connectAsync(config.db, { applicationName: 'hotcakes primary', onEnd: () => undefined })
  const stop = (): void => connection.giveUp(new PostgresFault(`no proof within ${proofMsMax} ms, or stopped`))
  signal.addEventListener('abort', stop)
  const endLimit = startTimeLimit(proofMsMax, stop)
  try {
    signal.throwIfAborted()
    return await work(connection)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    endLimit()
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** @throws Fault HC_SCHEMA */
async function assertSameSchema(
  connection: AsyncConnection,
  { config, schema }: { config: Config; schema: string },
): Promise<void> {
  const { user, ownerUser } = config.db
  const [row] = await connection.query<{ schema: string }>({
    text: `select nspname::text as schema
      from pg_class join pg_namespace n on n.oid = relnamespace where pg_class.oid = to_regclass('schema_migrations')`,
  })
  if (row?.schema === schema) return
  const difference =
    row === undefined
      ? `which user ${user} may not use: grant it what core/postgres/schema/access/grants.sql names`
      : `and user ${user} works in the schema ${row.schema}: give both roles the same search_path`
  throw new Fault('HC_SCHEMA', `the tables of user ${ownerUser || user} are in the schema ${schema}, ${difference}`)
}

/** Later connections would fail one by one, each with a reason of its own. */
async function warnOfFewConnections(
  connection: AsyncConnection,
  { config, log }: Pick<DatabaseStartOptions, 'config' | 'log'>,
): Promise<void> {
  const needed = config.app.workers * postgresConnectionsPerWorker + postgresConnectionsBeside
  const [row] = await connection.query<{ most: number; name: string }>({
    text: `select least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
      ) as most`,
  })
  if (row === undefined || row.most >= needed) return
  log.warn(
    { needed, most: row.most },
    `Postgres takes ${row.most} connections (max_connections, or a limit of the role or the database); ` +
      `${config.app.workers} workers may need ${needed}`,
  )
}
