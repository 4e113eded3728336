import { isUserId, userIdChars, userIdLengthMax } from '../../core/ids.ts'
import { shardKeys } from '../../core/redis/keys.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { runAuditJson } from '../helpers/audit.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { HttpClient } from '../helpers/http-client.ts'
import { currentSale } from '../helpers/items.ts'
import { isWhole, type Scrape, scrape } from '../helpers/metrics.ts'
import { openPostgres } from '../helpers/record.ts'
import type { Scope } from '../helpers/scope.ts'
import {
  openRedis,
  servicesEnv,
  startPostgres,
  startRedis,
  type TestRedis,
  type TestService,
} from '../helpers/services.ts'

const items = 1_000_000
/** Far above what the fuzzed requests touch, and far below what a mutation makes of their numbers. */
const honestItemFirst = 300_000
/** Every name that the server gives a key: fixed words, and the numbers of sales. */
const keyPattern = /^\{hotcakes:\d+\}:(?:[a-z]+(?::[a-z]+)?|sale:\d{1,15}:[a-z]+)$/
/** A run logs its start and its end, and nothing for a request. */
const logLinesMax = 100
const memoryGrowthBytesMax = 100 * 2 ** 20

/** A server with everything behind it, and what it must look like whatever was sent to it. */
export class Target {
  readonly port: number
  readonly sale: number
  /** The honest client's. */
  readonly http: HttpClient
  readonly honestItemFirst = honestItemFirst
  readonly #scope: Scope
  readonly #cluster: Cluster
  readonly #metrics: HttpClient
  readonly #redis: TestRedis
  readonly #postgres: TestService<EmbeddedPostgres>
  readonly #shards: number
  #residentBytes = 0

  /** @param shards of its sale, all in one Redis */
  static async start(scope: Scope, shards: number): Promise<Target> {
    const [redis, postgres] = [await startRedis(scope), await startPostgres(scope)]
    const env = {
      ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      APP_ITEM_NUMBER: String(items),
      APP_USER_LIMIT: '1000',
      APP_SHARDS: String(shards),
      // The machine may be busy with other things; how quick the server is isn't asked here.
      APP_DEADLINE_MS: '10000',
    }
    const cluster = await startCluster(scope, { env })
    return new Target(scope, { redis, postgres, cluster, shards, sale: await currentSale(cluster) })
  }

  private constructor(
    scope: Scope,
    parts: {
      redis: TestRedis
      postgres: TestService<EmbeddedPostgres>
      cluster: Cluster
      shards: number
      sale: number
    },
  ) {
    this.#scope = scope
    this.#redis = parts.redis
    this.#postgres = parts.postgres
    this.#cluster = parts.cluster
    this.#shards = parts.shards
    this.sale = parts.sale
    this.port = Number(new URL(parts.cluster.baseUrl).port)
    this.http = new HttpClient(scope, { baseUrl: parts.cluster.baseUrl, connections: 1 })
    this.#metrics = new HttpClient(scope, { baseUrl: parts.cluster.metricsUrl })
  }

  /** Remembers how much memory the workers have: growth is judged from here on. */
  async warm(): Promise<void> {
    // A worker that is late is not in a scrape: all of its memory would be growth.
    const whole = await eventually(
      async () => {
        const now = await scrape(this.#metrics)
        return isWhole(now) ? now : undefined
      },
      { what: 'a scrape of all workers' },
    )
    this.#residentBytes = residentBytes(whole)
  }

  /** Everything that is not as it must be, in sentences. */
  async findings(): Promise<string[]> {
    return [
      ...(await this.#processFindings()),
      ...this.#logFindings(),
      ...(await this.#redisFindings()),
      ...this.#postgresFindings(),
      ...(await this.#auditFindings()),
    ]
  }

  async #processFindings(): Promise<string[]> {
    const live = await this.http.get('/livez')
    const now = await scrape(this.#metrics)
    const restarts = (now.restarts('http') ?? 0) + (now.restarts('persister') ?? 0)
    const faults = [...now.series].filter(([series]) => series.startsWith('hotcakes_faults_total'))
    const growth = residentBytes(now) - this.#residentBytes
    return [
      live.status === 200 ? '' : `/livez answers ${live.status}`,
      restarts === 0 ? '' : `${restarts} processes had to be replaced`,
      ...faults.map(([series, count]) => `${series} is ${count}; ${this.#warnings()}`),
      growth < memoryGrowthBytesMax ? '' : `the workers' memory grew by ${Math.round(growth / 2 ** 20)} MiB`,
    ].filter((finding) => finding !== '')
  }

  /** What the server said of what went wrong. */
  #warnings(): string {
    return this.#cluster
      .logLines()
      .filter((line) => /"level":"(?:warn|error|fatal)"/.test(line))
      .join('; ')
  }

  #logFindings(): string[] {
    const lines = this.#cluster.logLines()
    const findings = lines.filter((line) => !isCleanJson(line)).map((line) => `log line: ${JSON.stringify(line)}`)
    return lines.length <= logLinesMax ? findings : [...findings, `${lines.length} log lines`]
  }

  /** Nothing that was sent is in a name, and users are what users may be. */
  async #redisFindings(): Promise<string[]> {
    const redis = await openRedis(this.#scope, this.#redis.admin)
    const findings = (await redis.keys('*')).filter((key) => !keyPattern.test(key)).map((key) => `key: ${key}`)
    const keys = shardNumbers(this.#shards).map((shard) => shardKeys(shard).users(this.sale))
    const users = (await Promise.all(keys.map((key) => redis.hkeys(key)))).flat()
    return [...findings, ...users.filter((user) => !isUserId(user)).map((user) => `user: ${JSON.stringify(user)}`)]
  }

  #postgresFindings(): string[] {
    const rows = openPostgres(this.#scope, this.#postgres.connection).query<{ user_id: string }>(
      `select distinct user_id from checkout_attempts where user_id !~ $1`,
      [`^${userIdChars}{1,${userIdLengthMax}}$`],
    )
    return rows.map(({ user_id: user }) => `row of the user ${JSON.stringify(user)}`)
  }

  async #auditFindings(): Promise<string[]> {
    const { verdict, checks } = await runAuditJson(this.#cluster.env)
    const breached = checks.filter(({ breaches }) => breaches > 0).map(({ check }) => check)
    return verdict === 'passed' ? [] : [`the audit: ${verdict} ${breached.join()}`]
  }
}

function residentBytes(now: Scrape): number {
  return [...now.series].reduce((sum, [series, value]) => {
    return series.startsWith('hotcakes_process_resident_memory_bytes{process="http"') ? sum + value : sum
  }, 0)
}

function isCleanJson(line: string): boolean {
  try {
    JSON.parse(line)
  } catch {
    return false
  }
  return !/\p{Cc}/u.test(line)
}
