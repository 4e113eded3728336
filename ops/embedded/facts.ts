import { join } from 'node:path'

import { readJsonFile, writePrivateFile } from './private-file.ts'
import type { ProcessIdentity } from './process-identity.mjs'

/** How to reach the embedded PostgreSQL; the same shape as `config.db`. */
export interface EmbeddedPostgres {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly ownerUser: string
  readonly ownerPassword: string
  readonly name: string
  readonly sslMode: 'disable'
}

/** How to reach the embedded Redis; the same shape as the connection part of `config.redis`. */
export interface EmbeddedRedis {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly tls: false
  /** Its nodes, if it is a cluster: then `host` and `port` are without effect. */
  readonly cluster?: string
}

/** A node of the embedded Redis, if that is a cluster. */
export interface EmbeddedNode {
  /** From 0 on. */
  readonly number: number
  readonly port: number
  /** On which the nodes talk to each other. */
  readonly busPort: number
  readonly process: ProcessIdentity
}

export interface EmbeddedRedisFacts {
  readonly connection: EmbeddedRedis
  /** Of the first node. */
  readonly process: ProcessIdentity
  /** All of them; absent: it is no cluster. */
  readonly nodes?: readonly EmbeddedNode[]
}

export interface EmbeddedPostgresFacts {
  readonly connection: EmbeddedPostgres
  readonly process: ProcessIdentity
}

/** What `embedded.json` holds: how to reach each service, and which process it is or was. */
export interface EmbeddedFacts {
  readonly postgres?: EmbeddedPostgresFacts
  readonly redis?: EmbeddedRedisFacts
}

/**
 * The facts in `<dataDir>/embedded.json`, mode 0600, from which the audit learns the ports and passwords of the running
 * services, and the next start those passwords and whether a killed server left its services behind.
 */
export function readFacts(dataDir: string): EmbeddedFacts {
  return (readJsonFile(factsPath(dataDir)) as EmbeddedFacts | null | undefined) ?? {}
}

export function writeFacts(dataDir: string, facts: EmbeddedFacts): void {
  writePrivateFile(factsPath(dataDir), `${JSON.stringify(facts, undefined, 2)}\n`)
}

/** Where each Redis is, or was. */
export function redisProcesses(redis: EmbeddedRedisFacts): readonly { port: number; process: ProcessIdentity }[] {
  return redis.nodes ?? [{ port: redis.connection.port, process: redis.process }]
}

function factsPath(dataDir: string): string {
  return join(dataDir, 'embedded.json')
}
