// A real server whose Redis loses something, and the buyers who come back to it.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { loadConfig } from '../../core/config/load.ts'
import { connectRedis } from '../../core/redis/connection.ts'
import { shardKeys } from '../../core/redis/keys.ts'
import { shardNumbers } from '../../core/shards.ts'
import { breachesIn } from './audit.ts'
import { auditHere } from './audit-here.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { eventually } from './eventually.ts'
import { HttpClient } from './http-client.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './items.ts'
import { scrape } from './metrics.ts'
import { commandTimeoutMs, openRedis, servicesEnv, startPostgres, startRedis } from './services.ts'
import { startTcpSwitch } from './tcp-switch.ts'

const saleEnv = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '3', APP_WORKERS: '1' }

export async function startAll(
  t: TestContext,
  options: { env?: Readonly<Record<string, string>>; folder?: string } = {},
) {
  const { env = {}, folder } = options
  const [redis, postgres] = await Promise.all([
    startRedis(t, folder === undefined ? {} : { folder }),
    startPostgres(t, { durable: true }),
  ])
  const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
  return { redis, postgres, cluster: await startCluster(t, { env: { ...saleEnv, ...services, ...env } }) }
}

/** A server whose Redis has a replica that could take over. */
export async function startReplicated(t: TestContext) {
  const [main, replica, postgres] = await Promise.all([
    startRedis(t),
    startRedis(t),
    startPostgres(t, { durable: true }),
  ])
  const address = await startTcpSwitch(t, main.connection.port)
  const redis = { ...main.connection, port: address.port }
  const env = { ...saleEnv, ...servicesEnv({ redis, db: postgres.connection }) }
  const [leader, follower] = [await openRedis(t, main.admin), await openRedis(t, replica.admin)]
  for (const [from, to] of [
    [follower, main],
    [leader, replica],
  ] as const) {
    await from.config('SET', 'masterauth', to.admin.password)
    // Otherwise the first copy waits 5 s for further replicas, longer than a command may take here.
    await from.config('SET', 'repl-diskless-sync-delay', 0)
  }
  await follower.acl('SETUSER', redis.user, 'resetpass', `>${redis.password}`)
  await follower.replicaof('127.0.0.1', main.connection.port)
  const cluster = await startCluster(t, { env })
  // On a busy machine the first copy may take longer than a test waits for what follows it.
  await eventually(async () => /state=online/.test(await leader.info('replication')), { what: 'a replica' })
  return { main, replica, postgres, address, leader, follower, cluster }
}

/** What two buyers were told, and is in Postgres. */
export async function sellSome(cluster: Cluster) {
  const told = await tellSome(cluster)
  await untilDrained(cluster)
  return told
}

/** All logs are: Postgres has what the shards had. */
export async function untilDrained(cluster: Cluster): Promise<void> {
  await eventually(async () => (await backlogEntries(cluster)) === 0, { what: 'the drained logs' })
}

/** What two buyers were told: one item sold, two held. */
export async function tellSome(cluster: Cluster) {
  const sale = await currentSale(cluster)
  const bought = await hold(cluster, 'ann', `${sale}-1`)
  const receipt = await purchase(cluster, bought)
  const held = await hold(cluster, 'ann', `${sale}-2`)
  const heldByBob = await hold(cluster, 'bob', `${sale}-3`)
  return { sale, bought, receipt, held, heldByBob }
}

/** Asked of Redis: what /readyz and /metrics say of the logs may be from the second before. */
async function backlogEntries({ env }: Cluster): Promise<number> {
  const { redis: settings, shardCount } = loadConfig({ env })
  let entries = 0
  for (const shard of shardNumbers(shardCount)) {
    const redis = connectRedis(settings, { shard, name: 'hotcakes test', commandTimeoutMs })
    try {
      await redis.connect()
      entries += await redis.xlen(shardKeys(shard).log)
    } finally {
      redis.disconnect()
    }
  }
  return entries
}

type Sold = Awaited<ReturnType<typeof sellSome>>

export async function readiness(cluster: Cluster): Promise<Record<string, Record<string, unknown>>> {
  return ((await cluster.http.get('/readyz')).json?.['checks'] ?? {}) as Record<string, Record<string, unknown>>
}

/** They come back: everything they were told still holds, and so do the rules. */
export async function assertHonoured(cluster: Cluster, told: Sold, { otherHolds = 0 } = {}): Promise<void> {
  const { sale, bought, receipt, held, heldByBob } = told
  assert.equal((await purchase(cluster, bought)).text, receipt.text)
  assertProblem(await checkout(cluster, 'bob', `${sale}-1`), 409, 'item_sold')
  assertProblem(await checkout(cluster, 'carl', `${sale}-2`), 409, 'item_held')
  assert.equal(codeOf(await checkout(cluster, 'ann', `${sale}-2`)), held, 'the same code again')
  assert.equal((await purchase(cluster, heldByBob)).status, 200, 'a code of before')
  await hold(cluster, 'ann', `${sale}-4`)
  assertProblem(await checkout(cluster, 'ann', `${sale}-5`), 409, 'user_limit_reached')
  const state = (await cluster.http.get('/sale')).json
  assert.deepEqual([state?.['sold'], state?.['held']], [2, 2 + otherHolds])
}

/** The last word of each test: without a stop before the services go, the server would wait for them for long. */
export async function assertAuditedAndStop(cluster: Cluster): Promise<void> {
  const audit = await auditHere(cluster.env)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
  assert.equal((await cluster.stop()).code, 0)
}

export async function untilSelling(cluster: Cluster): Promise<void> {
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200, { what: 'ready again' })
}

export async function untilRecovered(t: TestContext, cluster: Cluster, recoveries: number): Promise<void> {
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  const isRecovered = async () => {
    const seen = await scrape(metrics)
    return seen.total('hotcakes_recoveries_total') === recoveries && seen.total('hotcakes_record_sound') === 1
  }
  await eventually(isRecovered, { what: 'the recovery' })
  await untilSelling(cluster)
}

export function linesWith(cluster: Cluster, text: string): string[] {
  return cluster.logLines().filter((line) => line.includes('"process":"primary"') && line.includes(text))
}
