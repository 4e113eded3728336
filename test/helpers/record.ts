import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

import { outcomes } from '../../core/outcomes.ts'
import { connectPostgres, type Postgres } from '../../core/postgres/connection.ts'
import { asOwner, type SchemaSettings } from '../../core/postgres/owner.ts'
import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { migrate, migrationsTable, readMigrations } from '../../server/primary/schema.ts'
import type { Scope } from './scope.ts'

/** Beside the compiled helper, where the build copies the SQL files to. */
export const schemaFolder = new URL('../../core/postgres/schema/', import.meta.url)

const connectAttemptsMax = 10

/**
 * A connection of a test's own, as the owner of the tables: the service may do less. Only on the main thread of a test
 * file: see core/postgres/connection.ts.
 */
export function openPostgres(scope: Scope, db: EmbeddedPostgres): Postgres {
  const postgres = patiently(() => connectPostgres(asOwner(db), { applicationName: 'hotcakes test' }))
  scope.after(() => postgres.close())
  return postgres
}

/** One attempt is given up after 3 s, which is too soon where the server gets no CPU for as long. */
function patiently<Result>(connect: () => Result): Result {
  for (let attempts = 1; ; attempts++) {
    try {
      return connect()
    } catch (error) {
      if (attempts === connectAttemptsMax) throw error
    }
  }
}

/** Empties the database, for tests that share a server one after the other. */
export function emptyDatabase(scope: Scope, db: EmbeddedPostgres): void {
  openPostgres(scope, db).query('drop schema public cascade; create schema public')
}

/** An empty database with the schema of this version, which `migrate` then leaves alone; answers a connection to it. */
export function newRecord(scope: Scope, db: EmbeddedPostgres, { shards = 1 } = {}): Postgres {
  emptyDatabase(scope, db)
  const postgres = openPostgres(scope, db)
  const applied = readMigrations(schemaFolder).map(({ number, name, sql, digest }) => {
    postgres.query(sql)
    return `(${number}, '${name}', '${digest}')`
  })
  postgres.query(
    `${migrationsTable}; insert into schema_migrations (number, name, digest) values ${applied.join(', ')}`,
  )
  postgres.query(readFileSync(new URL('access/grants.sql', schemaFolder), 'utf8'))
  postgres.query(
    `insert into log_offsets (shard, epoch, seq, record)
     select number, 0, 0, record from log_offsets, generate_series(1, $1::int - 1) number`,
    [shards],
  )
  return postgres
}

/** As a start does it. Answers the names of the files that were applied. */
export async function migrateNow(db: SchemaSettings, folder: URL): Promise<string[]> {
  const { signal } = new AbortController()
  const options = { shards: 1, signal, onApplied: () => undefined, onWait: () => undefined }
  const { applied } = await migrate(db, folder, options)
  return applied
}

/** An attempt as the record has it: its place in the log, and everything else about it. */
export interface RecordedAttempt {
  readonly position: string
  readonly outcome: number
  readonly item: string
  readonly user: string | null
  readonly nonce: string | null
}

/** All attempts in the order of the log. */
export function recordedAttempts(postgres: Postgres): RecordedAttempt[] {
  return postgres.query<RecordedAttempt>(`
    select epoch || '-' || batch || '/' || n as position, outcome, sale_id || '-' || item_index as item,
           user_id as user, nonce
    from (
      select epoch, batch, n, outcome, sale_id, item_index, user_id, nonce from checkout_attempts
      union all
      select epoch, batch, n, outcome, sale_id, item_index, user_id, nonce from purchase_attempts
      union all
      select epoch, batch, n, outcome, sale_id, item_index, user_id, nonce from release_attempts
    ) attempts
    order by epoch, batch, n`)
}

/**
 * Goal: the record holds what was decided, each attempt once, and nothing else; and its parts agree with one another.
 * Answers the number of attempts.
 */
export function assertRecorded(postgres: Postgres, decided: readonly RecordedAttempt[]): number {
  assert.deepEqual(recordedAttempts(postgres), decided)
  const purchases = postgres.query<RecordedAttempt>(`
    select epoch || '-' || batch || '/' || n as position, 21 as outcome, sale_id || '-' || item_index as item,
           user_id as user, nonce
    from purchases order by epoch, batch, n`)
  assert.deepEqual(
    purchases,
    decided.filter(({ outcome }) => outcome === outcomes.purchased.code),
  )
  const last = decided.at(-1)?.position.split('/')[0]
  assert.deepEqual(postgres.query('select epoch || $1 || seq as last from log_offsets', ['-']), [{ last }])
  return decided.length
}
