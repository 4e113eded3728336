import { appendFileSync } from 'node:fs'
import { join } from 'node:path'

import { connectPostgres } from '../../core/postgres/connection.ts'
import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { eventually } from './eventually.ts'
import type { TestService } from './services.ts'

/** Lets the superuser in without a password, and everybody else with one, until the next start: as an operator's own PostgreSQL might. */
export async function letSuperuserIn(postgres: TestService<EmbeddedPostgres>, folder: string): Promise<void> {
  const rules = ['host all postgres 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256']
  appendFileSync(join(folder, 'postgres', 'pg_hba.conf'), `${rules.join('\n')}\n`)
  process.kill(postgres.pid(), 'SIGHUP')
  const superuser = { ...postgres.connection, user: 'postgres', password: '', name: 'postgres' }
  await eventually(() => connectPostgres(superuser, { applicationName: 'hotcakes test' }).close() ?? true)
}
