// Goal: an operator is told that Postgres refuses the rows, and why, and the server doesn't wait for what can't come.
// Method: the real server, from which a right is taken, or its Postgres, while it sells.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { currentSale, hold, purchase } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
import { openPostgres } from './helpers/record.ts'
import { commandTimeoutMs, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

/** Above what a test waits for its end: a stop that waits for it fails the test. */
const shutdownSeconds = '600'

async function start(t: TestContext, env: Record<string, string> = {}) {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const cluster = await startCluster(t, {
    env: {
      ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      ...env,
    },
  })
  return { cluster, redis, postgres, sale: await currentSale(cluster) }
}

interface Readiness {
  readonly status: string
  readonly checks: Record<'postgres' | 'log', { status: string; fault?: string; reason?: string }>
}

async function readiness({ http }: Cluster): Promise<Readiness & { http: number }> {
  const { status, text } = await http.get('/readyz')
  return { http: status, ...(JSON.parse(text) as Readiness) }
}

const saysLeft = (cluster: Cluster, pattern: RegExp) => cluster.logLines().some((line) => pattern.test(line))

test('a right that is missing: /readyz and the metrics name it, and a stop ends at once with what is left', async (t) => {
  const { cluster, postgres, sale } = await start(t, { APP_SHUTDOWN_SECONDS: shutdownSeconds })
  openPostgres(t, postgres.connection).query('revoke insert on purchases from hotcakes')
  await purchase(cluster, await hold(cluster, 'ann', `${sale}-1`))
  const trouble = { fault: 'HC_POSTGRES_REFUSED', reason: 'permission denied for table purchases [42501]' }
  await eventually(async () => {
    const { http, status, checks } = await readiness(cluster)
    assert.deepEqual([http, status, checks.postgres], [200, 'degraded', { status: 'refused', ...trouble }])
    assert.equal(checks.log.status, 'ok')
    return true
  })
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  await eventually(
    async () => (await scrape(metrics)).value('hotcakes_persister_state{state="refused",shard="0"}') === 1,
  )

  assert.deepEqual(await cluster.stop(), { code: 1, signal: null })
  assert.ok(saysLeft(cluster, /left: .*because Postgres refuses its rows \(HC_POSTGRES_REFUSED\): permission denied/))
  assert.ok(saysLeft(cluster, /left: [1-9]\d* log entries are not in Postgres yet/))
})

test('with APP_ACK=postgres a Postgres that refuses means not ready, until it takes the rows', async (t) => {
  const { cluster, postgres, sale } = await start(t, { APP_ACK: 'postgres' })
  const owner = openPostgres(t, postgres.connection)
  owner.query('revoke insert on checkout_attempts from hotcakes')
  await hold(cluster, 'ann', `${sale}-1`)
  await eventually(async () => {
    const { http, checks } = await readiness(cluster)
    return http === 503 && checks.postgres.status === 'refused'
  })
  owner.query('grant insert on checkout_attempts to hotcakes')
  await eventually(async () => (await readiness(cluster)).http === 200)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test('entries that are missing are the log’s fault and not that of Postgres, also at a stop', async (t) => {
  const { cluster, redis, postgres, sale } = await start(t, { APP_SHUTDOWN_SECONDS: shutdownSeconds })
  await postgres.stop()
  await hold(cluster, 'ann', `${sale}-1`)
  await hold(cluster, 'ann', `${sale}-2`)
  await eventually(async () => (await readiness(cluster)).checks.postgres.status === 'away')
  const store = new SaleStore(redis.admin, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  const entries = await store.redis.xrange(store.keys.log, '-', '+')
  await store.redis.xdel(store.keys.log, entries.at(-2)?.[0] ?? '')
  await postgres.start()
  await eventually(async () => {
    const { status, checks } = await readiness(cluster)
    assert.deepEqual([status, checks.postgres, checks.log.fault], ['degraded', { status: 'up' }, 'HC_LOG_GAP'])
    return true
  })
  assert.deepEqual(await cluster.stop(), { code: 1, signal: null })
  assert.ok(saysLeft(cluster, /left: .*because the log itself is at fault \(HC_LOG_GAP\)/))
})

test('a stop waits for a Postgres that is away, says so, and loses nothing when it comes back', async (t) => {
  const { cluster, postgres, sale } = await start(t, { APP_SHUTDOWN_SECONDS: shutdownSeconds })
  await postgres.stop()
  await hold(cluster, 'ann', `${sale}-1`)
  await eventually(async () => (await readiness(cluster)).checks.postgres.status === 'away')
  process.kill(cluster.pid, 'SIGTERM')
  await eventually(() => saysLeft(cluster, /"HC_POSTGRES_UNAVAILABLE".*the log can't be drained to its end yet/))
  await postgres.start()
  assert.deepEqual(await cluster.exited, { code: 0, signal: null })
  const [row] = openPostgres(t, postgres.connection).query('select count(*)::int as count from checkout_attempts')
  assert.deepEqual(row, { count: 1 })
})
