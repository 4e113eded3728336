import { pino } from 'pino'

import { loadConfig } from '../../core/config/load.ts'
import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { startDatabase } from '../../server/primary/database-start.ts'
import { schemaFolder } from './record.ts'
import { servicesEnv } from './services.ts'

export interface DatabaseStart {
  readonly done: Promise<{ readonly shardCount: number }>
  /** The messages of its log. */
  readonly said: readonly string[]
  abort(): void
}

/** The part of a start that gets the database ready, in this process. */
export function beginDatabaseStart(
  db: EmbeddedPostgres,
  options: { folder?: URL; shards?: number; env?: Readonly<Record<string, string>> } = {},
): DatabaseStart {
  const redis = { host: '127.0.0.1', port: 1, user: '', password: '', tls: false } as const
  const config = loadConfig({ env: { ...servicesEnv({ db, redis }), ...options.env } })
  const said: string[] = []
  const write = (line: string): void => {
    const { msg } = JSON.parse(line) as { msg: string }
    // Said of whatever takes a second, which on a busy machine may be anything.
    if (!msg.startsWith('still at work to')) said.push(msg)
  }
  const log = pino({ base: null }, { write })
  const abort = new AbortController()
  const { folder = schemaFolder, shards = 1 } = options
  const done = startDatabase({ config, log, signal: abort.signal, shards, schemaFolder: folder })
  done.catch(() => undefined)
  return { done, said, abort: () => abort.abort(new Error('stopping')) }
}
