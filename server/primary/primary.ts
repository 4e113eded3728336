import { redisPlace } from '../../core/config/cluster-nodes.ts'
import { hostAndPort } from '../../core/config/listen-hosts.ts'
import type { Config } from '../../core/config/load.ts'
import { Fault, undefinedForFault } from '../../core/faults.ts'
import { type ChildKind, shardOfMessage } from '../../core/ipc.ts'
import { leftQueryMsMax, metricsRefreshMs, purchasesDeadlineMs, purchasesReadersMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { checkCluster } from '../../core/redis/cluster-check.ts'
import { firstShard, shardNumbers } from '../../core/shards.ts'
import { AuditWatch } from './audit-watch.ts'
import { ClusterMetrics } from './cluster-metrics.ts'
import { startDatabase } from './database-start.ts'
import { DayIndexes } from './day-indexes.ts'
import { whenAvailable } from './dependencies.ts'
import { greet } from './greeting.ts'
import { Guards } from './guards.ts'
import { HealthRounds } from './health-rounds.ts'
import { KeyKeeper } from './keys/key-keeper.ts'
import { keySource } from './keys/key-source.ts'
import { serveMetrics } from './metrics-server.ts'
import { assertPortFree } from './port-check.ts'
import { PrimaryMetrics, peakGauges } from './primary-metrics.ts'
import { PrimaryShard } from './primary-shard.ts'
import { PurchaseFeed } from './purchases/feed.ts'
import { PurchasesRoute } from './purchases/route.ts'
import { RecordDays } from './record-days.ts'
import { RollingReload } from './rolling-reload.ts'
import { keepSaleInterval, sharedShards } from './sale-interval.ts'
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
  shutdown.signal.throwIfAborted()
  const [first, config] = await openFirst({ ...options, config: services.config })
  const shards = await openOthers({ ...options, config }, first)
  const serving = { ...options, config, shards }
  const { executables } = options
  const onBudgetSpent = (fault: Fault): void => shutdown.onFault(fault)
  const supervisor = new Supervisor({ config, executables, log, onBudgetSpent })
  const metrics = await openMetrics({ ...serving, supervisor })
  followSeen(supervisor, shards)
  const guards = await Guards.start({
    ...serving,
    workers: () => supervisor.reachable('http'),
    onState: (shard, state) => {
      supervisor.reportState(shard, state)
      metrics.setSound(shard, state.status === 'sound')
    },
    onRecovery: (shard) => metrics.recovered(shard),
  })
  await sharedShards({ ...serving, store: first.store }).open()
  await keepSaleInterval({ ...serving, store: first.store })
  const keys = await openKeys({ ...serving, supervisor })
  openChildren({ ...serving, supervisor, hasServices: services.areThere })
  guards.run((error) => shutdown.onFault(error))
  await supervisor.allReady(shutdown.signal)
  openDayIndexes(serving)

  const number = Math.floor(Date.now() / 1_000 / app.saleIntervalSeconds)
  const sale = await first.store.saleState(number).catch(undefinedForFault) // Redis is away just now: the rest is still true
  greet({ config, log, sale, tookMs: Math.round(performance.now() - startedMs) })
  return new RollingReload({
    supervisor,
    config,
    readConfig: () => {
      keys?.want()
      return withoutOwner(options.readConfig())
    },
    log,
    signal: shutdown.signal,
    onEnd: (result) => metrics.reloaded(result),
  })
}

/** The first shard's Redis, and then Postgres, which says how many shards there are. */
async function openFirst(options: PrimaryOptions): Promise<readonly [PrimaryShard, Config]> {
  const { config, shutdown } = options
  // Where there is one, nobody needs to know of shards.
  const log = config.app.shards > 1 ? options.log.child({ shard: firstShard }) : options.log
  await assertKindOfRedis(options)
  const first = await PrimaryShard.open({ number: firstShard, config, log, shutdown })
  // Before Postgres is told of more shards, which can't be taken back.
  await sharedShards({ ...options, store: first.store }).untilFree()
  const shardCount = await openDatabase(options)
  return [first, Object.freeze({ ...withoutOwner(config), shardCount })]
}

/** One Redis or a cluster, as the settings say: what would be met later in another kind is harder to read. @throws Fault */
async function assertKindOfRedis({ config, log, shutdown }: PrimaryOptions): Promise<void> {
  const { redis, app } = config
  const patience = {
    what: redisPlace(redis),
    unavailable: 'HC_REDIS_UNAVAILABLE',
    log,
    signal: shutdown.signal,
  } as const
  const { warnings } = await whenAvailable(() => checkAsFarAsThere(redis, app.shards), patience)
  for (const warning of warnings) log.warn(warning)
}

/** Where a shard is away, as far as the first one needs it: the others are tried on later, and say so. @throws Fault */
async function checkAsFarAsThere(redis: Config['redis'], shardCount: number): ReturnType<typeof checkCluster> {
  try {
    return await checkCluster(redis, shardCount)
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'HC_REDIS_UNAVAILABLE' || shardCount === 1) throw error
    const { warnings } = await checkCluster(redis, 1)
    return { warnings: [...warnings, error.message] }
  }
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

/** By their numbers, which count from the first shard's. */
type OpenShards = readonly [PrimaryShard, ...PrimaryShard[]]

/** All but the first, which is open. Each is tried on where its Redis is away: the others sell without it. */
async function openOthers(options: PrimaryOptions, first: PrimaryShard): Promise<OpenShards> {
  const { config, log, shutdown } = options
  const numbers = shardNumbers(config.shardCount).slice(1)
  const others = numbers.map((number) =>
    PrimaryShard.openOrTryOn({ number, config, log: log.child({ shard: number }), shutdown }),
  )
  return [first, ...(await Promise.all(others))]
}

/** Returns how many shards there are: at least those of new sales. */
async function openDatabase({ config, log, shutdown, schemaFolder }: PrimaryOptions): Promise<number> {
  const { signal } = shutdown
  const what = `Postgres at ${hostAndPort(config.db.host, config.db.port)}`
  const patience = { what, unavailable: 'HC_POSTGRES_UNAVAILABLE', log, signal } as const
  const { shards } = config.app
  const start = () => startDatabase({ config, log, signal, shards, schemaFolder })
  return (await whenAvailable(start, patience)).shardCount
}

type WithShards = Opened<{ readonly shards: OpenShards }>

/** The metrics of all processes, also of children to come, and the rounds that ask HTTP workers for their health. */
async function openMetrics(options: WithShards & { readonly supervisor: Supervisor }): Promise<PrimaryMetrics> {
  const { config, log, shutdown, version, shards, supervisor } = options
  const database = new AsyncPostgres(config.db, { applicationName: 'hotcakes metrics', connectionsMax: 1 })
  const audits = new AuditWatch(database)
  const recordDays = new RecordDays({
    postgres: database,
    log,
    daysMax: config.app.recordDays,
    now: () => performance.now(),
  })
  const health = followHealth(supervisor, recordDays)
  const metrics = new PrimaryMetrics({
    version,
    supervisor,
    shards,
    lastAudit: () => audits.last,
    recordDays,
  })
  supervisor.onRestart((kind) => metrics.restarted(kind))
  const cluster = new ClusterMetrics({
    children: () => supervisor.reachable(),
    ownReport: (silent, current) => metrics.report(silent, current),
    peaks: peakGauges,
  })
  supervisor.onMessage('metrics', (child, { id, metrics: report }) => cluster.received(child, id, report))
  supervisor.onGone((child) => cluster.retire(child))
  const bounds = { connectionsMax: 1, waitingMax: purchasesReadersMax, deadlineMs: purchasesDeadlineMs }
  const record = new AsyncPostgres(config.db, { applicationName: 'hotcakes purchases', ...bounds })
  const purchases = new PurchasesRoute(new PurchaseFeed(record))
  const server = await serveMetrics({
    host: config.app.metricsHost,
    port: config.app.metricsPort,
    scrape: () => cluster.scrape(),
    purchases: (request, response) => purchases.answer(request, response),
    onError: (error) => log.error({ err: error }, 'a request to the metrics server failed'),
  })
  const refresh = setInterval(() => void cluster.gather(), metricsRefreshMs)
  void audits.run()
  void recordDays.run()
  shutdown.opened({
    name: 'the metrics server',
    close: async () => {
      clearInterval(refresh)
      audits.stop()
      recordDays.stop()
      health.close()
      supervisor.close()
      await Promise.all([server.close(), database.close(), record.close()])
      return []
    },
  })
  return metrics
}

function followHealth(supervisor: Supervisor, recordDays: RecordDays): HealthRounds {
  const health = new HealthRounds({
    workers: () => supervisor.staying('http'),
    wanted: () => supervisor.wanted('http'),
    recordDays: () => recordDays.check,
    now: () => performance.now(),
  })
  supervisor.onMessage('probe', (child, message) => health.heard(child, message))
  supervisor.onMessage('health', (child, message) => health.heard(child, message))
  supervisor.onGone((child) => health.gone(child))
  return health
}

/** Every shard gets to know what the children have answered of its log. */
function followSeen(supervisor: Supervisor, shards: OpenShards): void {
  supervisor.onMessage('heartbeat', (_child, message) => shards[shardOfMessage(message)]?.seen.heard(message.seen))
  supervisor.onMessage('seen', (child, message) => {
    const positions = shards[shardOfMessage(message)]?.seen
    positions?.heard(message.seen)
    positions?.hasAnswered(child)
  })
  supervisor.onGone((child) => {
    for (const { seen } of shards) seen.hasAnswered(child)
  })
}

/** With signed buyers: before the first worker, so that each has them from its start. */
async function openKeys({ config, log, shutdown, supervisor }: PrimaryOptions & { readonly supervisor: Supervisor }) {
  if (config.buyers.mode === 'open') return undefined
  const source = keySource(config.buyers)
  const keeper = new KeyKeeper({ source, log, onLooked: (held) => supervisor.reportKeys(held) })
  shutdown.opened({
    name: 'the keys of signed buyers',
    close: async () => {
      keeper.close()
      return []
    },
  })
  const { signal } = shutdown
  const patience = { what: `the keys at ${source.place}`, unavailable: 'HC_TOKEN_KEYS', log, signal } as const
  await whenAvailable(() => keeper.open(), patience)
  supervisor.onMessage('key_unknown', () => keeper.want())
  return keeper
}

/** What days that are over are indexed by: the sale needs none of it. */
function openDayIndexes({ config, log, shutdown, shards }: WithShards): void {
  const lagSeconds = async (): Promise<number> => {
    const states = await Promise.all(shards.map((shard) => shard.logStateWithin(leftQueryMsMax)))
    return Math.max(...states.map((state) => state?.lagSeconds ?? 0))
  }
  const indexes = new DayIndexes({ settings: config.db, log, lagSeconds })
  shutdown.opened({
    name: 'the indexes of days that are over',
    close: async () => {
      await indexes.close()
      return []
    },
  })
  void indexes.run()
}

interface ChildrenOptions {
  readonly shards: readonly PrimaryShard[]
  readonly supervisor: Supervisor
  readonly hasServices: () => boolean
}

/** Forks the persister and the HTTP workers. */
function openChildren({ config, shutdown, shards, supervisor, hasServices }: Opened<ChildrenOptions>): void {
  const kill = () => supervisor.kill('the shutdown was cut short')
  shutdown.opened({
    name: 'the persister',
    close: async () => {
      if (hasServices()) {
        const left = await supervisor.drain('persister')
        return left.length === 0 ? [] : [...left, ...(await backlogSentences(shards))]
      }
      // Without Redis or Postgres there is no draining, and waiting for the deadline would change nothing.
      await supervisor.kill('an embedded service ended')
      return ['the log was not drained: it is safe on disk, and the next start goes on with it']
    },
    left: async () => [...supervisor.describe(), ...(await backlogSentences(shards))],
    kill,
  })
  supervisor.start('persister', 1)
  shutdown.opened({ name: 'the HTTP workers', close: () => supervisor.drain('http'), kill })
  supervisor.start('http', config.app.workers)
}

/** Of each shard, or with several of each that has something left. */
async function backlogSentences(shards: readonly PrimaryShard[]): Promise<readonly string[]> {
  const sentences = await Promise.all(
    shards.map(async (shard) => {
      const state = await shard.logStateWithin(leftQueryMsMax)
      if (shards.length > 1 && state?.backlogEntries === 0) return []
      const entries = state === undefined ? 'an unknown number of' : state.backlogEntries
      const of = shards.length > 1 ? ` of shard ${shard.number}` : ''
      return [
        `${entries} log entries${of} are not in Postgres yet: Redis keeps them, and the next start goes on with them`,
      ]
    }),
  )
  return sentences.flat()
}
