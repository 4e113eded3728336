import { writeFileSync } from 'node:fs'

import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'

/** As psql and pg_dump read it (PGPASSFILE): the service's role and the owner of the tables. Answers its path. */
export function writePasswordFile(
  path: string,
  { user, password, ownerUser, ownerPassword }: EmbeddedPostgres,
): string {
  const lines = [`*:*:*:${ownerUser}:${ownerPassword}`, `*:*:*:${user}:${password}`]
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
  return path
}
