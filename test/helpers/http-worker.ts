import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { type Config, loadConfig } from '../../core/config/load.ts'
import { freePort } from '../../core/free-port.ts'
import type { FromChild, ToChild, TokenKeysMessage } from '../../core/ipc.ts'
import { createLog } from '../../core/log.ts'
import type { RedisSettings } from '../../core/redis/connection.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard, shardNumbers } from '../../core/shards.ts'
import { HealthRounds } from '../../server/primary/health-rounds.ts'
import { KeyKeeper } from '../../server/primary/keys/key-keeper.ts'
import { keySource } from '../../server/primary/keys/key-source.ts'
import { eventually } from './eventually.ts'
import { HttpClient } from './http-client.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs } from './services.ts'

/** Beside the compiled helper, so that a build anywhere runs its own worker. */
const executable = fileURLToPath(new URL('../../server/worker/main.js', import.meta.url))

/** The longest that there is: on a busy machine nobody is turned away for what a test doesn't look at. */
export const deadlineMs = '10000'

/** One HTTP worker process, with this process in the place of its primary. */
export interface TestHttpWorker {
  readonly port: number
  readonly baseUrl: string
  readonly http: HttpClient
  readonly process: ChildProcess
  /** A connection of the test's own to the worker's Redis, with all rights: the worker has those of the service. */
  readonly store: SaleStore
  /** One for each shard, by their numbers. */
  readonly stores: readonly SaleStore[]
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** All messages that it has sent so far. */
  readonly messages: readonly FromChild[]
  send(message: ToChild): void
  /** Its numbers as prom-client's getMetricsAsJSON gives them. */
  metrics(): Promise<readonly Metric[]>
}

interface Metric {
  readonly name: string
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string>> }[]
}

/** One Redis, or a cluster: as the service's user, and as one who may do everything. */
interface WorkerRedis {
  readonly connection: RedisSettings
  readonly admin: RedisSettings
}

interface TestWorkerOptions {
  /** Settings, by their variables. */
  readonly env?: Readonly<Record<string, string>>
  /** `false` resolves at once. */
  readonly awaitReady?: boolean
  readonly port?: number
  /** Of the installation and of new sales. */
  readonly shards?: number
  /** Shards whose Redis is not there: a store of theirs is not connected. */
  readonly isAway?: readonly number[]
}

export async function startHttpWorker(
  scope: Scope,
  redis: WorkerRedis,
  options: TestWorkerOptions = {},
): Promise<TestHttpWorker> {
  const { shards: shardCount = 1 } = options
  const port = options.port ?? (await freePort())
  const { user, password } = redis.connection
  const settings = loadConfig({
    env: {
      APP_HOST: '127.0.0.1',
      APP_PORT: String(port),
      APP_DEADLINE_MS: deadlineMs,
      ...placeOf(redis.connection),
      REDIS_USER: user,
      REDIS_PASSWORD: password,
      LOG_LEVEL: 'silent',
      ...options.env,
    },
  })
  const config = { ...settings, shardCount, app: { ...settings.app, shards: shardCount } }
  const isAwaited = options.awaitReady !== false
  const isThere = (shard: number) => isAwaited && options.isAway?.includes(shard) !== true
  const stores = await openStores(scope, redis, { shardCount, isThere })
  const store = stores[firstShard] as SaleStore

  const keys = await keepKeys(scope, config)
  const child = fork(executable, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const messages: FromChild[] = []
  const send = (message: ToChild) => void child.send(message, () => undefined) // one that has just ended gets nothing
  answerProbes(scope, child, send)
  child.on('message', (message: FromChild) => {
    messages.push(message)
    if (message.type !== 'listening') return
    send({ type: 'start', config, answersProbes: true })
    keys?.serve(child)
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
  scope.after(async () => {
    child.kill('SIGKILL')
    await exited
  })

  const baseUrl = `http://127.0.0.1:${port}`
  let metricsId = 0
  const worker: TestHttpWorker = {
    port,
    baseUrl,
    http: new HttpClient(scope, { baseUrl, connections: 64 }),
    process: child,
    store,
    stores,
    exited,
    messages,
    send,
    metrics: async () => {
      metricsId += 1
      const id = metricsId
      send({ type: 'metrics', id })
      const answer = (message: FromChild) => (message.type === 'metrics' && message.id === id ? message : undefined)
      const reply = await eventually(() => messages.map(answer).find((message) => message !== undefined))
      return reply.metrics as readonly Metric[]
    },
  }
  if (isAwaited) await eventually(() => messages.some(({ type }) => type === 'ready'), { what: 'the HTTP worker' })
  return worker
}

function placeOf({ cluster = '', host, port }: RedisSettings): Record<string, string> {
  return cluster === '' ? { REDIS_HOST: host, REDIS_PORT: String(port) } : { REDIS_CLUSTER: cluster }
}

/** Of each shard one, to which its run of Redis is admitted. */
async function openStores(
  scope: Scope,
  redis: WorkerRedis,
  { shardCount, isThere }: { shardCount: number; isThere: (shard: number) => boolean },
): Promise<SaleStore[]> {
  const stores = shardNumbers(shardCount).map(
    (shard) => new SaleStore(redis.admin, { shard, name: 'test', commandTimeoutMs }),
  )
  for (const store of stores) {
    scope.after(() => store.close())
    if (!isThere(store.shard)) continue
    await store.connect()
    await store.claimEpoch(1)
  }
  return stores
}

/** As a primary does with signed buyers. */
async function keepKeys(scope: Scope, { buyers }: Config) {
  if (buyers.mode === 'open') return undefined
  const said: TokenKeysMessage[] = []
  let child: ChildProcess | undefined
  const keeper = new KeyKeeper({
    source: keySource(buyers),
    log: createLog({ level: 'silent', process: 'primary' }),
    onLooked: (message) => {
      said.push(message)
      child?.send(message, () => undefined)
    },
  })
  scope.after(() => keeper.close())
  await keeper.open()
  const serve = (worker: ChildProcess): void => {
    child = worker
    worker.send(said.at(-1) as TokenKeysMessage, () => undefined)
    worker.on('message', ({ type }: FromChild) => {
      if (type === 'key_unknown') keeper.want()
    })
  }
  return { serve }
}

/** As a primary does that has this one worker. */
function answerProbes(scope: Scope, child: ChildProcess, send: (message: ToChild) => void): void {
  const worker = { isAccepting: false, send }
  const rounds = new HealthRounds({ workers: () => [worker], wanted: () => 1, now: () => performance.now() })
  scope.after(() => rounds.close())
  child.on('message', (message: FromChild) => {
    if (message.type === 'accepting') worker.isAccepting = true
    if (message.type === 'probe' || message.type === 'health') rounds.heard(worker, message)
  })
}

/** The sum over all series of that metric whose labels include these. */
export function metricValue(
  metrics: readonly Metric[],
  name: string,
  labels: Readonly<Record<string, string | number>> = {},
): number {
  const values = metrics.find((metric) => metric.name === name)?.values ?? []
  return values
    .filter((series) =>
      Object.entries(labels).every(([label, value]) => String(series.labels[label]) === String(value)),
    )
    .reduce((sum, { value }) => sum + value, 0)
}
