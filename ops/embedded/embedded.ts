import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, realpathSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import { Fault, isBug } from '../../core/faults.ts'
import { waitSayMs } from '../../core/limits.ts'
import { embeddedProbeIntervalMs, embeddedStartMsMax, predecessorStopMsMax } from '../limits.ts'
import { DataLock } from './data-lock.ts'
import type {
  EmbeddedFacts,
  EmbeddedPostgres,
  EmbeddedPostgresFacts,
  EmbeddedRedis,
  EmbeddedRedisFacts,
} from './facts.ts'
import { readFacts, redisProcesses, writeFacts } from './facts.ts'
import { isRoot } from './launcher.ts'
import { startPostgresService } from './postgres.ts'
import { postgresAnswers, redisAnswers } from './probes.ts'
import type { ProcessIdentity } from './process-identity.mjs'
import { isAlive } from './process-identity.mjs'
import { startRedisNodes } from './redis-nodes.ts'
import type { EmbeddedService, ServiceExit } from './service.ts'
import type { Waiting } from './waiting.ts'

/** The part of a pino logger that is used here. */
interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface EmbeddedOptions {
  /** `config.app.dataDir` */
  readonly dataDir: string
  /** Which of the two are embedded. */
  readonly redis: boolean
  readonly postgres: boolean
  /** `config.app.shards`: with more than one, Redis is a cluster of as many masters. */
  readonly shards?: number
  readonly log: Log
  /** `false` switches Postgres' fsync off, for tests that are not about durability. */
  readonly durable?: boolean
  /** Ends the start: what was started by then is stopped. */
  readonly signal?: AbortSignal
}

export interface Embedded {
  /** Replaces the connection settings of `config.db`; absent when Postgres isn't embedded. */
  readonly db?: EmbeddedPostgres
  /** Replaces the connection settings of `config.redis`; absent when Redis isn't embedded. */
  readonly redis?: EmbeddedRedis
  /** Stops what was started, Redis first: it is what the rest of the service writes to. Can be called again. */
  stop(): Promise<void>
  /** Calls back if a service ends without having been asked to; the caller decides what follows. */
  onExit(callback: (exit: ServiceExit) => void): void
}

/**
 * Starts the wanted services with their data below `dataDir` and resolves when both answer. They end with this
 * process, however it ends. Call it on the main thread only: the kernel watches over the thread that started them.
 * @throws Fault HC_DATA_DIR_IN_USE when another live server uses the same data, HC_EMBEDDED_FAILED when a service
 *   does not start; the signal's reason when it is aborted; nothing is left running then
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = prepareDataDir(options.dataDir)
  const { log, signal = new AbortController().signal } = options
  const waiting: Waiting = { say: (sentence) => log.info({}, sentence), signal }
  const lock = await DataLock.acquire(dataDir, waiting)
  /** In the order in which they are stopped, those of one row together. */
  const services: (readonly EmbeddedService[])[] = []
  const stop = async () => {
    lock.announceStop()
    for (const row of services) await Promise.all(row.map((service) => service.stop()))
    lock.release()
  }
  try {
    await endOrphans(dataDir, { log, signal })
    const facts = readFacts(dataDir)
    const record = (changed: EmbeddedFacts) => writeFacts(dataDir, { ...readFacts(dataDir), ...changed })
    const startedAt = performance.now()
    const results = await Promise.allSettled([
      options.redis ? startRedis({ dataDir, facts, record, waiting, shards: options.shards ?? 1 }) : undefined,
      options.postgres
        ? startPostgres({ dataDir, facts, record, waiting, durable: options.durable ?? true })
        : undefined,
    ])
    const [redis, postgres] = results
    for (const { value } of results.filter((result) => result.status === 'fulfilled')) {
      if (value !== undefined) services.push(value.services)
    }
    signal.throwIfAborted()
    if (redis.status === 'rejected') throw redis.reason
    if (postgres.status === 'rejected') throw postgres.reason
    const tookMs = Math.round(performance.now() - startedAt)
    log.info({ dataDir, tookMs }, 'embedded services are ready')
    return {
      ...(postgres.value === undefined ? {} : { db: postgres.value.connection }),
      ...(redis.value === undefined ? {} : { redis: redis.value.connection }),
      stop: once(stop),
      onExit: (callback) => {
        for (const service of services.flat()) void service.reportUnexpectedExit(callback)
      },
    }
  } catch (error) {
    await stop()
    signal.throwIfAborted()
    if (error instanceof Fault || isBug(error)) throw error
    const { message } = error as Error
    throw new Fault('HC_EMBEDDED_FAILED', message, { cause: error })
  }
}

/**
 * For a tool beside the server, like the audit: uses the services of the running server if they answer, otherwise
 * starts them; `stop()` then stops only what was started here.
 * @throws Fault as startEmbedded, and HC_EMBEDDED_FAILED when there is no data at all
 */
export async function attachEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  if (!existsSync(options.dataDir)) {
    throw new Fault('HC_EMBEDDED_FAILED', `no embedded data in ${options.dataDir}: has the server been started there?`)
  }
  const { redis, postgres } = readFacts(options.dataDir)
  const answers = await Promise.all([
    !options.redis || (redis !== undefined && redisIsUp(redis, options)),
    !options.postgres || (postgres !== undefined && postgresIsUp(postgres, options)),
  ])
  if (!answers.every(Boolean)) return startEmbedded(options)
  return {
    ...(options.postgres && postgres !== undefined ? { db: postgres.connection } : {}),
    ...(options.redis && redis !== undefined ? { redis: redis.connection } : {}),
    stop: () => Promise.resolve(),
    onExit: () => undefined,
  }
}

async function redisIsUp(redis: EmbeddedRedisFacts, options: EmbeddedOptions): Promise<boolean> {
  const answers = redisProcesses(redis).map(({ port, process }) => {
    return answersAtLast('Redis', { process, answers: () => redisAnswers({ ...redis.connection, port }), ...options })
  })
  return (await Promise.all(answers)).every(Boolean)
}

function postgresIsUp({ process, connection }: EmbeddedPostgresFacts, options: EmbeddedOptions): Promise<boolean> {
  return answersAtLast('PostgreSQL', { process, answers: () => postgresAnswers(connection), ...options })
}

interface Asked {
  readonly process: ProcessIdentity
  readonly answers: () => Promise<boolean>
  readonly log: Log
  readonly signal?: AbortSignal
}

/** One that lives is used by its server: it may be too busy for a moment to answer, or still read its data. */
async function answersAtLast(service: string, { process, answers, log, signal }: Asked): Promise<boolean> {
  const startedMs = Date.now()
  let isSaid = false
  while (isAlive(process) && Date.now() - startedMs < embeddedStartMsMax) {
    if (await answers()) return true
    if (!isSaid && Date.now() - startedMs > waitSayMs) {
      log.warn({ service, pid: process.pid }, 'waiting for the embedded service to answer')
      isSaid = true
    }
    await delay(embeddedProbeIntervalMs, undefined, signal && { signal })
  }
  return false
}

type Recorder = (changed: EmbeddedFacts) => void

interface ServiceStart {
  readonly dataDir: string
  readonly facts: EmbeddedFacts
  readonly record: Recorder
  readonly waiting: Waiting
}

function startRedis({ dataDir, waiting, facts, shards, record }: ServiceStart & { shards: number }) {
  return startRedisNodes({
    dataDir,
    waiting,
    shards,
    facts: facts.redis,
    password: facts.redis?.connection.password ?? newPassword(),
    record: (redis) => record({ redis }),
  })
}

async function startPostgres(options: ServiceStart & { durable: boolean }) {
  // Facts of an older version name no owner.
  const known: Partial<EmbeddedPostgres> = options.facts.postgres?.connection ?? {}
  const { password, ownerPassword } = known
  const { service, connection } = await startPostgresService({
    dataDir: options.dataDir,
    waiting: options.waiting,
    passwords: { service: password ?? newPassword(), owner: ownerPassword ?? newPassword() },
    passwordsAreNew: password === undefined || ownerPassword === undefined,
    durable: options.durable,
    onLaunch: (launched, process) => options.record({ postgres: { connection: launched, process } }),
  })
  return { services: [service], connection }
}

/**
 * An absolute path without symbolic links, because children start elsewhere. If we are root, other accounts may pass
 * through the folder, because user postgres has to reach its own folder inside. They can't list it or read a file in it.
 */
function prepareDataDir(dataDir: string): string {
  if (!existsSync(dataDir)) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (isRoot) chmodSync(dataDir, 0o711)
  }
  return realpathSync(dataDir)
}

/** Without setpriv the kernel doesn't end the services of a server that was killed: they are still there. */
async function endOrphans(dataDir: string, options: { log: Log; signal: AbortSignal }): Promise<void> {
  const { redis, postgres } = readFacts(dataDir)
  for (const { process } of redis === undefined ? [] : redisProcesses(redis)) {
    await endOrphan(process, { service: 'Redis', stopSignal: 'SIGTERM', ...options })
  }
  await endOrphan(postgres?.process, { service: 'PostgreSQL', stopSignal: 'SIGINT', ...options })
}

async function endOrphan(
  orphan: ProcessIdentity | undefined,
  options: { service: string; stopSignal: NodeJS.Signals; log: Log; signal: AbortSignal },
): Promise<void> {
  if (orphan === undefined || !isAlive(orphan)) return
  const { service, stopSignal, log, signal } = options
  log.warn({ service, pid: orphan.pid }, 'waiting for the embedded service of a killed server to end')
  kill(orphan.pid, stopSignal)
  const deadline = Date.now() + predecessorStopMsMax
  while (isAlive(orphan)) {
    if (Date.now() > deadline) {
      throw new Fault('HC_DATA_DIR_IN_USE', `${service} of a killed server, process ${orphan.pid}, does not end`)
    }
    await delay(embeddedProbeIntervalMs, undefined, { signal })
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // it has ended by itself since it was looked at
  }
}

/** Base64url: no character that a configuration file, an SQL literal or the Redis protocol would take apart. */
function newPassword(): string {
  return randomBytes(24).toString('base64url')
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined
  return () => (result ??= action())
}
