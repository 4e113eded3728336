import assert from 'node:assert/strict'
import { join } from 'node:path'

import type { LogPosition } from '../../core/log-position.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { readRecordHead } from '../../core/recovery/record-head.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import { freePort } from '../../ops/embedded/free-port.ts'
import { asOwner } from '../../server/primary/schema.ts'
import { breachesIn, runAuditJson } from '../helpers/audit.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { HttpClient } from '../helpers/http-client.ts'
import { currentSale } from '../helpers/items.ts'
import { scrape } from '../helpers/metrics.ts'
import { childrenOf, processTree, stillRunning } from '../helpers/processes.ts'
import { type Scope, temporaryFolder } from '../helpers/scope.ts'
import { servicesEnv } from '../helpers/services.ts'
import { type ArenaServices, revive, startArenaServices } from './arena-services.ts'
import type { Judgement } from './checker.ts'
import type { Evidence, Loss } from './evidence.ts'
import { gatherFromStores } from './gather.ts'
import { RecordedClient } from './recorded-client.ts'
import { Shoppers } from './shoppers.ts'

/** No new sale in the middle of a run. */
export const intervalMs = 30 * 86_400_000
/** So few that shoppers meet, and that all of them are sold within some rounds. */
const items = 8_000
const users = 3_000
const connections = 16
const workers = 2
/** Whatever died or came back, the server works again within this, also on a busy machine. */
const recoveryMsMax = 90_000
/** In the log of a server that ended because of a service that doesn't do what the start needs of it. */
const refusedStart = /"code":"HC_(?:POSTGRES|REDIS)_/
/** A worker that lost its primary finishes within a second, the persister ends its transaction: a bound for busy machines. */
const orphanMsMax = 60_000

interface ArenaParts {
  readonly services: ArenaServices
  readonly cluster: Cluster
  readonly clockFile: string
  readonly store: SaleStore
  readonly database: AsyncPostgres
  readonly sale: { readonly id: number; readonly items: number }
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
  readonly #scope: Scope
  /** Like the store past the link: what is broken for the server is not broken for the check. */
  readonly database: AsyncPostgres
  readonly #store: SaleStore
  #cluster: Cluster
  /** How the server ended, if nobody had killed it. */
  #end: string | undefined

  static async start(scope: Scope, { seed, ack }: { seed: number; ack: Evidence['ack'] }): Promise<Arena> {
    const services = await startArenaServices(scope)
    const { redis, postgres } = services
    const clockFile = join(temporaryFolder(scope), 'clock.json')
    const cluster = await startCluster(scope, { env: await serverEnv(services, { clockFile, ack }) })
    const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes check' })
    scope.after(() => store.close())
    await store.connect()
    // Never the blocking kind: this process is the network that the server's own statements go through.
    const database = new AsyncPostgres(asOwner(postgres.connection), {
      applicationName: 'hotcakes check',
      deadlineMs: recoveryMsMax,
    })
    scope.after(() => database.close())
    const sale = { id: await currentSale(cluster), items }
    return new Arena(scope, { services, cluster, clockFile, store, database, sale, seed, ack })
  }

  private constructor(scope: Scope, parts: ArenaParts) {
    this.#scope = scope
    this.services = parts.services
    this.clockFile = parts.clockFile
    this.ack = parts.ack
    this.#cluster = parts.cluster
    void this.#watch(parts.cluster)
    this.#store = parts.store
    this.database = parts.database
    this.client = new RecordedClient(scope, { baseUrl: parts.cluster.baseUrl, connections })
    this.shoppers = new Shoppers({ client: this.client, sale: parts.sale, users, seed: parts.seed })
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

  /** A server of its own on the same services, to which some shoppers go; `action` must end it. */
  async besideSecondServer(action: (pid: number) => Promise<void>): Promise<void> {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const env = {
      ...this.#cluster.env,
      APP_PORT: String(port),
      APP_METRICS_PORT: String(metricsPort),
      APP_WORKERS: '1',
    }
    const second = await this.#start(env)
    this.client.secondServer(second.baseUrl)
    await action(second.pid)
    await second.exited
    this.client.secondServer(undefined)
  }

  /** As whoever supervises a service does: what another fault refuses now is tried again. */
  async #start(env: Cluster['env']): Promise<Cluster> {
    const deadlineMs = performance.now() + recoveryMsMax
    for (;;) {
      try {
        return await startCluster(this.#scope, { env })
      } catch (error) {
        if (performance.now() > deadlineMs || !refusedStart.test((error as Error).message)) throw error
      }
    }
  }

  /** See `revive`. */
  reviveRedis(): Promise<string> {
    return revive(this.services.redis, { ask: () => this.#store.logState(), deadlineMs: recoveryMsMax })
  }

  revivePostgres(): Promise<string> {
    return revive(this.services.postgres, { ask: () => this.committed(), deadlineMs: recoveryMsMax })
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
          const { status, text } = await http.get('/readyz')
          assert.equal(status, 200, text)
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
    const decided = () => this.client.history.filter(({ answer }) => typeof answer === 'object').length
    const enough = decided() + 50
    await eventually(() => decided() >= enough, { deadlineMs: recoveryMsMax, what: '50 more decisions' })
    for (const loss of this.losses) loss.recoveredMs = Math.min(loss.recoveredMs, performance.now())
  }

  /** How far the log is in Postgres. */
  async committed(): Promise<LogPosition> {
    const { committed } = await eventually(() => readRecordHead(this.database, firstShard), { what: 'Postgres' })
    return committed
  }

  /** Has Redis lose data: what is in the log by then and not in Postgres may be lost with it. */
  async loseData(action: () => Promise<unknown>): Promise<void> {
    const committed = await this.committed()
    const begunMs = performance.now()
    await action()
    this.losses.push({ committed, begunMs, doneMs: performance.now(), recoveredMs: Infinity })
  }

  /** What there is to judge, once the log is drained; nobody may be shopping. @throws AssertionError */
  async evidence(): Promise<Evidence> {
    await eventually(
      async () => {
        const { backlogEntries, last } = await this.#store.logState()
        assert.deepEqual([backlogEntries, await this.committed()], [0, last])
        return true
      },
      { deadlineMs: recoveryMsMax, what: 'a drained log' },
    )
    const stores = await gatherFromStores(this.database, this.#store)
    const { history, looks } = this.client
    return { history, looks, ...stores, losses: this.losses, ack: this.ack }
  }

  /** Everything that is left is sold, to buyers of its own. @throws AssertionError when it is not exactly the stock */
  async sellOut(): Promise<void> {
    await this.shoppers.buyEverything(connections)
    const { sale } = this.shoppers
    // A hold that has expired may be counted for another second.
    await eventually(async () => {
      const state = await this.#store.saleState(sale.id)
      assert.deepEqual([state?.sold, state?.held], [items, 0])
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
  { redis, postgres, redisLink, postgresLink }: ArenaServices,
  { clockFile, ack }: { clockFile: string; ack: Evidence['ack'] },
): Promise<Record<string, string>> {
  const [port, metricsPort] = [await freePort(), await freePort()]
  return {
    ...servicesEnv({ db: postgres.connection, redis: redis.connection }),
    REDIS_PORT: String(redisLink.port),
    DB_PORT: String(postgresLink.port),
    // The server is started again on the ports that its clients know.
    APP_PORT: String(port),
    APP_METRICS_PORT: String(metricsPort),
    APP_WORKERS: String(workers),
    APP_ITEM_NUMBER: String(items),
    APP_SALE_INTERVAL_SECONDS: String(intervalMs / 1_000),
    APP_HOLD_SECONDS: '2',
    APP_USER_LIMIT: '5',
    APP_HEARTBEAT_SECONDS: '3',
    APP_ACK: ack,
    HOTCAKES_TEST_CLOCK: clockFile,
    NODE_OPTIONS: `--import ${new URL('stepped-clock.js', import.meta.url).href}`,
  }
}
