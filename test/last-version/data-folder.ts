import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { type EmbeddedFacts, writeFacts } from '../../ops/embedded/facts.ts'
import { migrationsTable, readMigrations } from '../../server/primary/schema.ts'
import { openPostgres, schemaFolder } from '../helpers/record.ts'
import { createFolder, removeFolder, type Scope } from '../helpers/scope.ts'
import { startPostgres } from '../helpers/services.ts'
import { fixture, type Rows, type Story } from './story.ts'

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(fixture, name), 'utf8'))
}

export function readStory(): Story {
  return read('story.json') as Story
}

export function readRows(): Rows {
  return read('rows.json') as Rows
}

/**
 * The data folder as the last version left it: Redis' files byte by byte, its embedded.json with passwords of this folder, and a
 * PostgreSQL with its tables and rows. Instead of PostgreSQL's own 40 MB these are made by the schema files that it had
 * applied, which are known by their digests.
 */
export async function lastVersionsFolder(scope: Scope): Promise<string> {
  const dataDir = createFolder()
  const closing: (() => void | Promise<void>)[] = []
  scope.after(() => removeFolder(dataDir))
  const own: Scope = { after: (release) => closing.unshift(release) }
  const postgres = await startPostgres(own, { folder: dataDir })
  try {
    const owner = openPostgres(own, postgres.connection)
    fill((text, values) => owner.query(text, values), readRows())
  } finally {
    for (const close of closing) await close()
  }
  cpSync(join(fixture, 'redis'), join(dataDir, 'redis'), { recursive: true })
  const { postgres: service, redis } = read('embedded.json') as EmbeddedFacts
  assert.ok(service && redis)
  writeFacts(dataDir, {
    postgres: { ...service, connection: { ...postgres.connection, port: service.connection.port } },
    redis: { ...redis, connection: { ...redis.connection, password: postgres.connection.password } },
  })
  return dataDir
}

/** As the owner of the tables. */
function fill(query: (text: string, values?: readonly string[]) => unknown, { days, tables }: Rows): void {
  const applied = tables['schema_migrations'] ?? assert.fail()
  const files = readMigrations(schemaFolder).slice(0, applied.length)
  assert.deepEqual(
    files.map(({ name, digest }) => [name, digest]),
    applied.map((row) => [row['name'], row['digest']]),
  )
  for (const { sql } of files) query(sql)
  query(migrationsTable)
  for (const day of days) query('select ensure_attempts_partitions($1::date)', [day])
  for (const [table, rows] of Object.entries(tables)) {
    query(`delete from ${table}`)
    const text = `insert into ${table} overriding system value select * from json_populate_recordset(null::${table}, $1::json)`
    query(text, [JSON.stringify(rows)])
  }
}
