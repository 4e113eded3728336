import assert from 'node:assert/strict'
import { join } from 'node:path'
import { freePort } from '../../core/free-port.ts'
import type { LogPosition } from '../../core/log-position.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { asOwner } from '../../core/postgres/owner.ts'
import { entriesBetween } from '../../core/recovery/log-chain.ts'
import { readRecordHead } from '../../core/recovery/record-head.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard, shardNumbers } from '../../core/shards.ts'
import { breachesIn, runAuditJson } from '../helpers/audit.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { HttpClient } from '../helpers/http-client.ts'
import { currentSale } from '../helpers/items.ts'
import { scrape } from '../helpers/metrics.ts'
import { childrenOf, processTree, stillRunning } from '../helpers/processes.ts'
import type { RedisCluster } from '../helpers/redis-cluster.ts'
import { type Scope, temporaryFolder } from '../helpers/scope.ts'
import { commandTimeoutMs, servicesEnv } from '../helpers/services.ts'
import { type ArenaServices, revive, type SingleRedis, startArenaServices } from './arena-services.ts'
import type { Judgement } from './checker.ts'
import { type Evidence, isAnswered, type Loss } from './evidence.ts'
import { gatherFromStores } from './gather.ts'
import { KnownMasters } from './known-masters.ts'
import { groupOf, secondServerGroup, serverGroup } from './packet-filter.ts'
import { RecordedClient } from './recorded-client.ts'
import { Shoppers } from './shoppers.ts'

/** No new sale in the middle of a run. */
export const intervalMs = 30 * 86_400_000
/** So few that shoppers meet, and that all of them are sold within some rounds. */
const itemsMax = { single: 8_000, cluster: 1_500 } as const
const users = 3_000
/** In one arena: the later ones meet what the earlier ones left, and a sale sells out about then. */
export const roundsPerArena = 10
const singleUserLimit = 5
/** Of one arena each: fewer than there are shards, as many, and more. */
const shardedUserLimits = [5, 1, 3] as const
const connections = 16
const workers = 2
/** Whatever died or came back, the server works again within this, also on a busy machine. */
const recoveryMsMax = 90_000
/** In the log of a server that ended because of a service that doesn't do what the start needs of it. */
const refusedStart = /"code":"HC_(?:POSTGRES|REDIS)_/
/** A worker that lost its primary finishes within a second, the persister ends its transaction: a bound for busy machines. */
const orphanMsMax = 60_000

export interface ArenaOptions {
  readonly seed: number
  readonly ack: Evidence['ack']
  /** One: a plain Redis; more: a cluster. */
  readonly shards: number
  /** Of its sale. */
  readonly items?: number
}

interface ArenaParts {
  readonly services: ArenaServices
  readonly cluster: Cluster
  readonly clockFile: string
  readonly stores: readonly SaleStore[]
  readonly database: AsyncPostgres
  readonly sale: Shoppers['sale']
  readonly seed: number
  readonly ack: Evidence['ack']
}

/**
 * A sale with everything that can be broken: the server's processes, Redis, Postgres and the network between them. The
 * services are not the server's own: they outlive it.
 */
export class Arena {
  readonly services: ArenaServices
  /** Written to, it steps the clocks of the server's processes: see stepped-clock.ts. */
  readonly clockFile: string
  /** What the server's answers promise. */
  readonly ack: Evidence['ack']
  readonly losses: Loss[] = []
  /** What the last round had to judge. */
  judged: Pick<Judgement, 'decisions' | 'lost'> = { decisions: 0, lost: 0 }
  readonly client: RecordedClient
  readonly shoppers: Shoppers
  /** Of a cluster. */
  readonly masters: KnownMasters | undefined
  readonly #scope: Scope
  /** Like the store past the link: what is broken for the server is not broken for the check. */
  readonly database: AsyncPostgres
  readonly #stores: readonly SaleStore[]
  #cluster: Cluster
  /** How the server ended, if nobody had killed it. */
  #end: string | undefined

  static async start(scope: Scope, { seed, ack, shards, ...given }: ArenaOptions): Promise<Arena> {
    const services = await startArenaServices(scope, shards)
    const { redis, postgres } = services
    const clockFile = join(temporaryFolder(scope), 'clock.json')
    const items = given.items ?? ('nodes' in redis ? itemsMax.cluster : itemsMax.single)
    const userLimit =
      shards === 1
        ? singleUserLimit
        : (shardedUserLimits[Math.floor(seed / roundsPerArena) % shardedUserLimits.length] as number)
    const env = await serverEnv(services, { clockFile, ack, shards, items, userLimit })
    const cluster = await startCluster(scope, { env, detached: true, ...groupOf(serverGroup) })
    const settings = 'nodes' in redis ? redis.settings : redis.redis.connection
    const name = 'hotcakes check'
    const stores = shardNumbers(shards).map((shard) => new SaleStore(settings, { shard, name, commandTimeoutMs }))
    for (const store of stores) scope.after(() => store.close())
    for (const store of stores) await store.connect()
    // Never the blocking kind: this process is the network that the server's own statements go through.
    const database = new AsyncPostgres(asOwner(postgres.connection), {
      applicationName: 'hotcakes check',
      deadlineMs: recoveryMsMax,
    })
    scope.after(() => database.close())
    const sale = { id: await currentSale(cluster), items, shards }
    const arena = new Arena(scope, { services, cluster, clockFile, stores, database, sale, seed, ack })
    await arena.masters?.replaced([])
    return arena
  }

  private constructor(scope: Scope, parts: ArenaParts) {
    this.#scope = scope
    this.services = parts.services
    this.clockFile = parts.clockFile
    this.ack = parts.ack
    this.#cluster = parts.cluster
    void this.#watch(parts.cluster)
    this.masters = this.isCluster
      ? new KnownMasters({
          nodes: this.nodes,
          shards: parts.stores.length,
          committed: (shard) => this.committed(shard),
        })
      : undefined
    this.#stores = parts.stores
    this.database = parts.database
    this.client = new RecordedClient(scope, { baseUrl: parts.cluster.baseUrl, connections })
    this.shoppers = new Shoppers({ client: this.client, sale: parts.sale, users, seed: parts.seed })
  }

  get shards(): number {
    return this.#stores.length
  }

  get isCluster(): boolean {
    return 'nodes' in this.services.redis
  }

  /** The one Redis. */
  get single(): SingleRedis {
    const { redis } = this.services
    assert.ok(!('nodes' in redis))
    return redis
  }

  get nodes(): RedisCluster {
    const { redis } = this.services
    assert.ok('nodes' in redis)
    return redis
  }

  get primaryPid(): number {
    return this.#cluster.pid
  }

  /** The processes of that kind; waits for one when they all have just died. */
  async childPids(kind: 'http' | 'persister'): Promise<number[]> {
    const executable = kind === 'http' ? /server\/worker\/main/ : /persister-main/
    return await eventually(
      () => {
        const pids = childrenOf(this.primaryPid, executable)
        return pids.length > 0 ? pids : undefined
      },
      { what: `a process of the kind ${kind}` },
    )
  }

  /** Nobody is left behind who would go on selling unseen. @throws AssertionError */
  async killServer(): Promise<void> {
    const pids = processTree(this.primaryPid)
    process.kill(this.primaryPid, 'SIGKILL')
    const areGone = () => {
      assert.deepEqual(stillRunning(pids), [])
      return true
    }
    try {
      await eventually(areGone, { deadlineMs: orphanMsMax, what: 'the end of the children of a killed primary' })
    } catch (error) {
      for (const line of stillRunning(pids)) process.kill(Number.parseInt(line, 10), 'SIGKILL')
      throw error
    }
    await this.#cluster.exited
  }

  /** On the same ports and services. */
  async startServer(): Promise<void> {
    this.#cluster = await this.#start(this.#cluster.env)
    void this.#watch(this.#cluster)
  }

  /** As the server has it: what a tool beside it needs. */
  get serverEnv(): Cluster['env'] {
    return this.#cluster.env
  }

  /** Ends with the arena. */
  get scope(): Scope {
    return this.#scope
  }

  /** A server of its own on the same services, to which some shoppers go; `action` must end it. */
  async besideSecondServer(action: (pid: number) => Promise<void>): Promise<void> {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const env = {
      ...this.#cluster.env,
      APP_PORT: String(port),
      APP_METRICS_PORT: String(metricsPort),
      APP_WORKERS: '1',
    }
    const second = await this.#start(env, secondServerGroup)
    this.client.secondServer(second.baseUrl)
    await action(second.pid)
    await second.exited
    this.client.secondServer(undefined)
  }

  /** As whoever supervises a service does: what another fault refuses now is tried again. */
  async #start(env: Cluster['env'], group = serverGroup): Promise<Cluster> {
    const deadlineMs = performance.now() + recoveryMsMax
    for (;;) {
      try {
        return await startCluster(this.#scope, { env, detached: true, ...groupOf(group) })
      } catch (error) {
        if (performance.now() > deadlineMs || !refusedStart.test((error as Error).message)) throw error
      }
    }
  }

  /** See `revive`. */
  reviveRedis(): Promise<string> {
    return revive(this.single.redis, {
      ask: async () => await this.#stores[firstShard]?.logState(),
      deadlineMs: recoveryMsMax,
    })
  }

  revivePostgres(): Promise<string> {
    return revive(this.services.postgres, { ask: () => this.committed(firstShard), deadlineMs: recoveryMsMax })
  }

  /** Everybody is there again and sells. @throws AssertionError when that takes too long */
  async untilSelling(): Promise<void> {
    const { baseUrl, metricsUrl } = this.#cluster
    const [http, metrics] = [baseUrl, metricsUrl].map((url) => new HttpClient(this.#scope, { baseUrl: url }))
    assert.ok(http !== undefined && metrics !== undefined)
    try {
      await eventually(
        async () => {
          if (this.#end !== undefined) return true
          const { status, text, json } = await http.get('/readyz')
          assert.equal(status, 200, text)
          const checks = json?.['checks'] as { shards?: { status: string } } | undefined
          if (this.shards > 1) assert.equal(checks?.shards?.status, 'complete', text)
          const now = await scrape(metrics)
          assert.deepEqual([now.ready('http'), now.ready('persister')], [workers, 1])
          return true
        },
        { deadlineMs: recoveryMsMax, what: 'a server that is ready' },
      )
    } finally {
      http.close()
      metrics.close()
    }
    assert.equal(this.#end, undefined)
    const before = this.client.history.length
    const isEnough = () => {
      const answered = this.client.history.slice(before).filter(isAnswered)
      const shards = new Set(answered.map(({ answer }) => answer.place.shard))
      return answered.length >= 50 && shards.size === this.shards
    }
    await eventually(isEnough, { deadlineMs: recoveryMsMax, what: '50 more decisions, some of each shard' })
    for (const loss of this.losses) loss.recoveredMs = Math.min(loss.recoveredMs, performance.now())
  }

  /** How far a shard's log is in Postgres. */
  async committed(shard: number): Promise<LogPosition> {
    const { committed } = await eventually(() => readRecordHead(this.database, shard), { what: 'Postgres' })
    return committed
  }

  /** Has a shard's Redis lose data: what is in the log by then and not in Postgres may be lost with it. */
  async loseData(shard: number, action: () => Promise<unknown>): Promise<void> {
    await this.mayLoseData([shard], { withReplicas: true }, async () => {
      await action()
      return true
    })
  }

  /** The same of several shards, and of an action that says whether anything may be lost. */
  async mayLoseData(
    shards: readonly number[],
    { withReplicas }: Pick<Loss, 'withReplicas'>,
    action: () => Promise<boolean>,
  ): Promise<void> {
    const committed = await Promise.all(shards.map((shard) => this.committed(shard)))
    const begunMs = performance.now()
    if (!(await action())) return
    const doneMs = performance.now()
    for (const [at, shard] of shards.entries()) {
      const position = committed[at] as LogPosition
      this.losses.push({ shard, committed: position, begunMs, doneMs, withReplicas, recoveredMs: Infinity })
    }
  }

  /** What there is to judge, once the log is drained; nobody may be shopping. @throws AssertionError */
  async evidence(): Promise<Evidence> {
    await eventually(
      async () => {
        for (const store of this.#stores) {
          const { backlogEntries, last } = await store.logState()
          const { committed, epochs } = await readRecordHead(this.database, store.shard)
          const missing = entriesBetween(committed, last, epochs)
          assert.deepEqual([backlogEntries, missing], [0, 0], `shard ${store.shard}`)
        }
        return true
      },
      { deadlineMs: recoveryMsMax, what: 'a drained log' },
    )
    this.losses.push(...((await this.masters?.replaced(this.losses)) ?? []))
    const stores = await gatherFromStores(this.database, this.#stores)
    const { history, looks } = this.client
    return { history, looks, ...stores, losses: this.losses, ack: this.ack }
  }

  /** Everything that is left is sold, to buyers of its own. @throws AssertionError when it is not exactly the stock */
  async sellOut(): Promise<void> {
    await this.shoppers.buyEverything(connections)
    const { sale } = this.shoppers
    // A hold that has expired may be counted for another second.
    await eventually(async () => {
      const states = await Promise.all(this.#stores.map((store) => store.saleState(sale.id)))
      const [sold, held] = (['sold', 'held'] as const).map((what) =>
        states.reduce((sum, state) => sum + (state?.[what] ?? 0), 0),
      )
      assert.deepEqual([sold, held], [sale.items, 0])
      return true
    })
  }

  /** The project's own opinion. @throws AssertionError */
  async audit(): Promise<void> {
    const audit = await runAuditJson(this.#cluster.env)
    assert.deepEqual(breachesIn(audit), {})
    assert.equal(audit.verdict, 'passed', audit.not_checked.join())
  }

  /** The last lines of the server's log. */
  logTail(): string {
    return this.#cluster.logLines().slice(-30).join('\n')
  }

  async #watch({ exited }: Cluster): Promise<void> {
    const { code, signal } = await exited
    if (signal !== 'SIGKILL') this.#end = `the server ended by itself: ${code ?? signal}`
  }
}

async function serverEnv(
  { redis, postgres, postgresLink }: ArenaServices,
  options: { clockFile: string; ack: Evidence['ack']; shards: number; items: number; userLimit: number },
): Promise<Record<string, string>> {
  const { clockFile, ack, shards, items, userLimit } = options
  const [port, metricsPort] = [await freePort(), await freePort()]
  const redisEnv =
    'nodes' in redis
      ? servicesEnv({ db: postgres.connection, redis: { ...redis.settings, tls: false } })
      : {
          ...servicesEnv({ db: postgres.connection, redis: redis.redis.connection }),
          REDIS_PORT: String(redis.link.port),
        }
  return {
    ...redisEnv,
    APP_SHARDS: String(shards),
    DB_PORT: String(postgresLink.port),
    // The server is started again on the ports that its clients know.
    APP_PORT: String(port),
    APP_METRICS_PORT: String(metricsPort),
    APP_WORKERS: String(workers),
    APP_ITEM_NUMBER: String(items),
    APP_SALE_INTERVAL_SECONDS: String(intervalMs / 1_000),
    APP_HOLD_SECONDS: '2',
    APP_USER_LIMIT: String(userLimit),
    APP_HEARTBEAT_SECONDS: '3',
    APP_ACK: ack,
    HOTCAKES_TEST_CLOCK: clockFile,
    NODE_OPTIONS: `--import ${new URL('stepped-clock.js', import.meta.url).href}`,
  }
}
