import { setTimeout as delay } from 'node:timers/promises'

import type { Config } from '../../core/config/load.ts'
import { Fault, undefinedForFault } from '../../core/faults.ts'
import type { ChildKind } from '../../core/ipc.ts'
import { leftQueryMsMax, metricsGatherMsMax, metricsRefreshMs, rebuildMsMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { type LogState, SaleStore } from '../../core/redis/sale-store.ts'
import { AuditWatch } from './audit-watch.ts'
import { ClusterMetrics } from './cluster-metrics.ts'
import { startDatabase } from './database-start.ts'
import { patiently, whenAvailable } from './dependencies.ts'
import { greet } from './greeting.ts'
import { HealthRounds } from './health-rounds.ts'
import { serveMetrics } from './metrics-server.ts'
import { assertPortFree } from './port-check.ts'
import { PrimaryMetrics, peakGauges } from './primary-metrics.ts'
import { RecordGuard } from './record-guard.ts'
import { RollingReload } from './rolling-reload.ts'
import { RunCheck } from './run-check.ts'
import { assertNumbersUnused, SaleInterval } from './sale-interval.ts'
import { SeenPositions } from './seen-positions.ts'
import type { Shutdown } from './shutdown.ts'
import { Supervisor } from './supervisor.ts'

/** The Postgres and Redis that the server runs itself, as far as it does. */
export interface Services {
  /** Replace the connection settings of the configuration; absent where a service is not embedded. */
  readonly db?: Partial<Config['db']>
  readonly redis?: Partial<Config['redis']>
  stop(): Promise<void>
  /** Calls back if one ends without having been asked to. */
  onExit(callback: (exit: { service: string; code: number | null; signal: string | null }) => void): void
}

export interface PrimaryOptions {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly shutdown: Shutdown
  /** The programs of the children. */
  readonly executables: Readonly<Record<ChildKind, string>>
  /** The numbered SQL files. */
  readonly schemaFolder: URL
  readonly startServices: (config: Config) => Promise<Services>
  /** The settings as they stand now, for a reload. @throws Fault HC_CONFIG */
  readonly readConfig: () => Config
}

type Opened<Extra> = PrimaryOptions & Extra

/**
 * Starts the service, in the order in which each part needs the ones before it, and hands every part to the shutdown,
 * which closes them in the reverse order. Resolves when the service is ready.
 * @returns what replaces the HTTP workers on demand
 * @throws Fault; the reason of the shutdown's signal when it is aborted on the way
 */
export async function startPrimary(options: PrimaryOptions): Promise<RollingReload> {
  const startedMs = performance.now()
  const { log, shutdown } = options
  for (const warning of options.config.warnings) log.warn(warning)
  const { app } = options.config
  await assertPortFree({ host: app.host, port: app.port, setting: 'APP_PORT' })
  await assertPortFree({ host: app.metricsHost, port: app.metricsPort, setting: 'APP_METRICS_PORT' })

  const services = await openServices(options)
  const effective = { ...options, config: services.config }
  shutdown.signal.throwIfAborted()
  const store = await openStore(effective)
  let isDurable = false
  const runCheck = new RunCheck({
    store,
    requireDurable: effective.config.redis.requireDurable,
    log,
    onDurability: (isSo) => {
      isDurable = isSo
    },
  })
  const what = 'Redis to say how it keeps its data'
  await patiently(runCheck.assert(), { what, log, signal: shutdown.signal })
  await openDatabase(effective)

  const config = withoutOwner(effective.config)
  const serving = { ...effective, config }
  const seen = new SeenPositions()
  const { supervisor, metrics } = await openMetrics({ ...serving, store, seen, isDurable: () => isDurable })
  const guard = await openGuard({ ...serving, store, runCheck, supervisor, metrics, seen })
  openChildren({ ...serving, store, supervisor, hasServices: services.areThere })
  guard.run().catch((error: unknown) => shutdown.onFault(error))
  await supervisor.allReady(shutdown.signal)

  const number = Math.floor(Date.now() / 1_000 / app.saleIntervalSeconds)
  const sale = await store.saleState(number).catch(undefinedForFault) // Redis is away just now: the rest is still true
  greet({ config, log, sale, tookMs: Math.round(performance.now() - startedMs) })
  return new RollingReload({
    supervisor,
    config,
    readConfig: () => withoutOwner(options.readConfig()),
    log,
    signal: shutdown.signal,
    onEnd: (result) => metrics.reloaded(result),
  })
}

/** What may change tables goes no further than the start. */
function withoutOwner(config: Config): Config {
  return Object.freeze({ ...config, db: { ...config.db, ownerUser: '', ownerPassword: '' } })
}

/** The configuration with the connection settings of what is embedded, and whether that is still there. */
async function openServices(options: PrimaryOptions): Promise<{ config: Config; areThere: () => boolean }> {
  const { config, shutdown } = options
  if (!config.db.embedded && !config.redis.embedded) return { config, areThere: () => true }
  const services = await options.startServices(config)
  let areThere = true
  shutdown.opened({
    name: 'the embedded services',
    close: () => services.stop().then(() => []),
    left: () => ['the embedded services were running'],
    kill: () => services.stop(),
  })
  // Not restarted: whatever ended it (a full disk, a lack of memory, a person) would most likely end it again, and half
  // a restart is where promises get lost. Everything acknowledged is on disk; who started us starts us again.
  services.onExit(({ service, code, signal }) => {
    areThere = false
    shutdown.onFault(new Fault('HC_EMBEDDED_FAILED', `${service} ended by itself (${signal ?? `exit status ${code}`})`))
  })
  const effective = { ...config, db: { ...config.db, ...services.db }, redis: { ...config.redis, ...services.redis } }
  return { config: Object.freeze(effective), areThere: () => areThere }
}

async function openStore({ config, log, shutdown }: PrimaryOptions): Promise<SaleStore> {
  const connect = async () => {
    const store = new SaleStore(config.redis, {
      name: 'hotcakes primary',
      onState: (state, fault) => {
        if (state === 'up') log.info('connected to Redis')
        else if (!shutdown.signal.aborted) log.warn({ code: fault?.code }, 'no connection to Redis')
      },
    })
    try {
      await store.connect()
      return store
    } catch (error) {
      store.close()
      throw error
    }
  }
  const { signal } = shutdown
  const what = `Redis at ${config.redis.host}:${config.redis.port}`
  const store = await whenAvailable(connect, { what, unavailable: 'HC_REDIS_UNAVAILABLE', log, signal })
  shutdown.opened({
    name: 'the connection to Redis',
    close: () => {
      store.close()
      return Promise.resolve([])
    },
  })
  return store
}

async function openDatabase({ config, log, shutdown, schemaFolder }: PrimaryOptions): Promise<void> {
  const { signal } = shutdown
  const what = `Postgres at ${config.db.host}:${config.db.port}`
  const patience = { what, unavailable: 'HC_POSTGRES_UNAVAILABLE', log, signal } as const
  await whenAvailable(() => startDatabase({ config, log, signal, schemaFolder }), patience)
}

interface GuardOptions {
  readonly store: SaleStore
  readonly runCheck: RunCheck
  readonly supervisor: Supervisor
  readonly metrics: PrimaryMetrics
  readonly seen: SeenPositions
}

/** Compares Redis with Postgres for the first time. @throws Fault when they are no two halves of one record */
async function openGuard(options: Opened<GuardOptions>): Promise<RecordGuard> {
  const { config, log, shutdown, store, runCheck, supervisor, metrics, seen } = options
  const applicationName = 'hotcakes primary'
  const database = new AsyncPostgres(config.db, { applicationName, connectionsMax: 1 })
  const rebuildDatabase = new AsyncPostgres(config.db, {
    applicationName: 'hotcakes recovery',
    connectionsMax: 1,
    deadlineMs: rebuildMsMax,
  })
  const guard = new RecordGuard({
    store,
    runCheck,
    database,
    rebuildDatabase,
    log,
    isAutomatic: config.app.recovery === 'auto',
    ttlSeconds: config.redis.ttlHours * 3_600,
    newestSeen: () => seen.newest,
    gatherSeen: () => seen.gather(supervisor.reachable('http')),
    onReport: (report) => {
      supervisor.reportRecord(report)
      metrics.setRecordSound(report.status === 'sound')
    },
    onRecovery: () => metrics.recovered(),
  })
  shutdown.opened({
    name: 'the guard of the record',
    close: async () => {
      guard.stop()
      await Promise.all([database.close(), rebuildDatabase.close()])
      return []
    },
  })
  await patiently(guard.start(), { what: 'the comparison of Redis with Postgres', log, signal: shutdown.signal })
  await keepSaleInterval({ ...options, database })
  return guard
}

async function keepSaleInterval(options: Opened<{ store: SaleStore; database: AsyncPostgres }>): Promise<void> {
  const { config, log, shutdown, store, database } = options
  const intervalMs = config.app.saleIntervalSeconds * 1_000
  const patience = { log, signal: shutdown.signal }
  const redis = { what: 'Redis', unavailable: 'HC_REDIS_UNAVAILABLE', ...patience } as const
  const { nowMs } = await whenAvailable(() => store.logState(), redis)
  const assertUnused = () => assertNumbersUnused(database, { intervalMs, nowMs })
  const what = 'Postgres to say which numbers sales have had'
  await whenAvailable(assertUnused, { what, unavailable: 'HC_POSTGRES_UNAVAILABLE', ...patience })
  const interval = new SaleInterval({ store, intervalMs, log })
  const others = {
    what: 'servers with another interval to stop',
    unavailable: 'HC_SALE_INTERVAL',
    ...patience,
  } as const
  await whenAvailable(() => whenAvailable(() => interval.keep(), redis), others)
  interval.run().catch((error: unknown) => shutdown.onFault(error))
  shutdown.opened({
    name: 'the interval between sales',
    close: () => {
      interval.stop()
      return Promise.resolve([])
    },
  })
}

/** The supervisor of children to come, and the metrics and the health of all processes. */
async function openMetrics(options: Opened<{ store: SaleStore; seen: SeenPositions; isDurable: () => boolean }>) {
  const { config, log, shutdown, version, executables, store, seen, isDurable } = options
  const supervisor: Supervisor = new Supervisor({
    config,
    executables,
    log,
    onMetrics: (child, id, report) => cluster.received(child, id, report),
    onHealth: (child, message) => health.heard(child, message),
    onGone: (child) => {
      health.gone(child)
      cluster.retire(child)
      seen.told(child)
    },
    onSeen: (child, position, isAnswer) => {
      seen.heard(position)
      if (isAnswer) seen.told(child)
    },
    onRestart: (kind) => metrics.restarted(kind),
    onBudgetSpent: (fault) => shutdown.onFault(fault),
  })
  const health = new HealthRounds({
    workers: () => supervisor.staying('http'),
    wanted: () => supervisor.wanted('http'),
    now: () => performance.now(),
  })
  const database = new AsyncPostgres(config.db, { applicationName: 'hotcakes metrics', connectionsMax: 1 })
  const audits = new AuditWatch(database)
  const metrics = new PrimaryMetrics({
    version,
    supervisor,
    logState: () => logStateWithin(store, metricsGatherMsMax),
    lastAudit: () => audits.last,
    isDurable,
  })
  const cluster = new ClusterMetrics({
    children: () => supervisor.reachable(),
    ownReport: (silent, current) => metrics.report(silent, current),
    peaks: peakGauges,
  })
  const server = await serveMetrics({
    host: config.app.metricsHost,
    port: config.app.metricsPort,
    scrape: () => cluster.scrape(),
    onError: (error) => log.error({ err: error }, 'a scrape failed'),
  })
  const refresh = setInterval(() => void cluster.gather(), metricsRefreshMs)
  void audits.run()
  shutdown.opened({
    name: 'the metrics server',
    close: async () => {
      clearInterval(refresh)
      audits.stop()
      health.close()
      supervisor.close()
      await Promise.all([server.close(), database.close()])
      return []
    },
  })
  return { supervisor, metrics }
}

interface ChildrenOptions {
  readonly store: SaleStore
  readonly supervisor: Supervisor
  readonly hasServices: () => boolean
}

/** Forks the persister and the HTTP workers. */
function openChildren({ config, shutdown, store, supervisor, hasServices }: Opened<ChildrenOptions>): void {
  const kill = () => supervisor.kill('the shutdown was cut short')
  shutdown.opened({
    name: 'the persister',
    close: async () => {
      if (hasServices()) {
        const left = await supervisor.drain('persister')
        return left.length === 0 ? [] : [...left, await backlogSentence(store)]
      }
      // Without Redis or Postgres there is no draining, and waiting for the deadline would change nothing.
      await supervisor.kill('an embedded service ended')
      return ['the log was not drained: it is safe on disk, and the next start goes on with it']
    },
    left: async () => [...supervisor.describe(), await backlogSentence(store)],
    kill,
  })
  supervisor.start('persister', 1)
  shutdown.opened({ name: 'the HTTP workers', close: () => supervisor.drain('http'), kill })
  supervisor.start('http', config.app.workers)
}

async function backlogSentence(store: SaleStore): Promise<string> {
  const state = await logStateWithin(store, leftQueryMsMax)
  const entries = state === undefined ? 'an unknown number of' : state.backlogEntries
  return `${entries} log entries are not in Postgres yet: Redis keeps them, and the next start goes on with them`
}

async function logStateWithin(store: SaleStore, patienceMs: number): Promise<LogState | undefined> {
  const state = store.logState().catch(undefinedForFault) // Redis is away, which the caller has a word for
  return await Promise.race([state, delay(patienceMs, undefined)])
}
