import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { asOwner, type SchemaSettings } from '../../core/postgres/owner.ts'
import type { RunningHotcakes } from './server-under-test.ts'

/** To connect to the PostgreSQL that a hotcakes has embedded, as the owner of its tables. */
export function embeddedPostgres({ env }: Pick<RunningHotcakes, 'env'>): PostgresSettings {
  const facts = readFileSync(join(env['APP_DATA_DIR'] as string, 'embedded.json'), 'utf8')
  const { postgres } = JSON.parse(facts) as { postgres: { connection: SchemaSettings } }
  return asOwner(postgres.connection)
}
