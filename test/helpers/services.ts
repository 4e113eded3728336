import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import type { Redis } from 'ioredis'

import { connectRedis } from '../../core/redis/connection.ts'
import { firstShard } from '../../core/shards.ts'
import type { EmbeddedPostgres, EmbeddedRedis } from '../../ops/embedded/facts.ts'
import { startPostgresService } from '../../ops/embedded/postgres.ts'
import { startRedisService } from '../../ops/embedded/redis.ts'
import type { EmbeddedService } from '../../ops/embedded/service.ts'
import { newPassword, waiting } from './embedded-options.ts'
import { newPasswords, postgresTemplate } from './postgres-template.ts'
import type { Scope } from './scope.ts'
import { createFolder, removeFolder } from './scope.ts'

/** Longest wait of a test's own connection to Redis for an answer: the server's is too short for a Redis that gets no CPU for seconds. */
export const commandTimeoutMs = 30_000

/** A real service of a test's own, on a free port, with its data in a temporary folder. */
export interface TestService<Connection> {
  readonly connection: Connection
  /** The process: SIGSTOP and SIGCONT make it hang for a while. Changes with each start. */
  pid(): number
  stop(): Promise<void>
  /** Starts it again after `stop()`, on the same port and data. */
  start(): Promise<void>
  /** Its disk is lost: a crash, and none of its data is left. The next `start()` begins with nothing. */
  loseDisk(): Promise<void>
}

export interface TestRedis extends TestService<EmbeddedRedis> {
  /** As a user who may do everything; the one of `connection` may do what the service needs. */
  readonly admin: EmbeddedRedis
}

/**
 * A real Redis with the settings and the user of the embedded one: append-only file, synced before each answer.
 * @param options.folder for its data, on a disk of the test's own; it stays there
 */
export async function startRedis(scope: Scope, { folder }: { folder?: string } = {}): Promise<TestRedis> {
  const [password, adminPassword] = [newPassword(), newPassword()]
  const service = await control(scope, folder, (dataDir, port) => {
    const fixedPort = port === undefined ? {} : { port }
    const options = { dataDir, password, adminPassword, program: chosenRedis(), onLaunch: () => undefined, waiting }
    return startRedisService({ ...options, ...fixedPort })
  })
  return { ...service, admin: { ...service.connection, user: 'default', password: adminPassword } }
}

/** A connection of a test's own, to what the service has no words for. */
export async function openRedis(scope: Scope, settings: EmbeddedRedis): Promise<Redis> {
  const redis = connectRedis(settings, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  scope.after(() => redis.disconnect())
  await redis.connect()
  return redis
}

/**
 * The same Redis with nothing in it, for tests that share one, one after the other. On a new connection: what a process had sent
 * that was killed is done by then.
 */
export async function emptied(scope: Scope, redis: TestRedis): Promise<TestRedis> {
  await (await openRedis(scope, redis.admin)).flushall()
  return redis
}

/**
 * A real PostgreSQL with an empty database.
 * @param options.durable with fsync as in production; without it a start is quicker and a crash may lose data
 * @param options.folder for its data, on a disk of the test's own; it stays there
 * @param options.isWhole with the database `postgres` too, which the template lacks and a superuser may want
 */
export async function startPostgres(
  scope: Scope,
  { durable = false, folder, isWhole = false }: { durable?: boolean; folder?: string; isWhole?: boolean } = {},
): Promise<TestService<EmbeddedPostgres>> {
  const template = chosenPostgres() === undefined && !isWhole ? await postgresTemplate() : undefined
  const passwords = template?.passwords ?? newPasswords()
  return await control(scope, folder, async (dataDir, port) => {
    if (!existsSync(join(dataDir, 'postgres'))) await template?.copyTo(dataDir)
    const fixedPort = port === undefined ? {} : { port }
    const options = { dataDir, passwords, passwordsAreNew: false, durable, programs: chosenPostgres(), waiting }
    return await startPostgresService({ ...options, ...fixedPort, onLaunch: () => undefined })
  })
}

/** The program that the tests run on, where it isn't the one that the server would find: see test/engines. */
export function chosenRedis(): string | undefined {
  return process.env['HOTCAKES_TEST_REDIS']
}

function chosenPostgres(): { initdb: string; postgres: string } | undefined {
  const folder = process.env['HOTCAKES_TEST_POSTGRES']
  return folder === undefined ? undefined : { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
}

/** For a whole server: what the tests run on, when they are to run on something else than its embedded services. */
export async function startChosenServices(
  scope: Scope,
): Promise<{ db: EmbeddedPostgres; redis: EmbeddedRedis } | undefined> {
  if (chosenRedis() === undefined && chosenPostgres() === undefined) return undefined
  const [redis, postgres] = await Promise.all([startRedis(scope), startPostgres(scope, { durable: true })])
  return { db: postgres.connection, redis: redis.connection }
}

/** The settings of a server, or of the audit, that uses these services. */
export function servicesEnv(services: { db: EmbeddedPostgres; redis: EmbeddedRedis }): Record<string, string> {
  const { db, redis } = services
  return {
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    DB_USER: db.user,
    DB_PASSWORD: db.password,
    DB_OWNER_USER: db.ownerUser,
    DB_OWNER_PASSWORD: db.ownerPassword,
    DB_NAME: db.name,
    DB_SSL_MODE: db.sslMode,
    ...(redis.cluster === undefined || redis.cluster === ''
      ? { REDIS_HOST: redis.host, REDIS_PORT: String(redis.port) }
      : { REDIS_CLUSTER: redis.cluster }),
    REDIS_USER: redis.user,
    REDIS_PASSWORD: redis.password,
  }
}

async function control<Connection>(
  scope: Scope,
  folder: string | undefined,
  launch: (dataDir: string, port?: number) => Promise<{ service: EmbeddedService; connection: Connection }>,
): Promise<TestService<Connection>> {
  const dataDir = folder ?? createFolder()
  const running: { service?: EmbeddedService } = {}
  scope.after(async () => {
    await running.service?.stop()
    if (folder === undefined) removeFolder(dataDir)
  })
  const { service, connection } = await launch(dataDir)
  running.service = service
  return {
    connection,
    pid: () => running.service?.pid ?? 0,
    stop: async () => running.service?.stop(),
    start: async () => {
      running.service = (await launch(dataDir, service.port)).service
    },
    loseDisk: async () => {
      if (running.service !== undefined) process.kill(running.service.pid, 'SIGKILL')
      await running.service?.stop()
      for (const name of readdirSync(dataDir)) removeFolder(join(dataDir, name)) // it may be a disk of its own
    },
  }
}
