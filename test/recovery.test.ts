// Goal: whatever becomes of Redis' data, nothing is sold from less than what is on record, and what is on record is
// honoured: sold items, live holds and their codes, limits.
// Method: the real server. Redis is emptied, restarted, restored from an old copy; the same buyers come back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const saleEnv = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '3', APP_WORKERS: '1' }

async function startAll(t: TestContext, options: { env?: Readonly<Record<string, string>> } = {}) {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t, { durable: true })])
  const env = { ...saleEnv, ...servicesEnv({ redis: redis.connection, db: postgres.connection }), ...options.env }
  return { redis, postgres, cluster: await startCluster(t, { env }) }
}

/** What two buyers were told, and is in Postgres: one item sold, two held. */
async function sellSome(cluster: Cluster) {
  const sale = await currentSale(cluster)
  const bought = await hold(cluster, 'ann', `${sale}-1`)
  const receipt = await purchase(cluster, bought)
  const held = await hold(cluster, 'ann', `${sale}-2`)
  const heldByBob = await hold(cluster, 'bob', `${sale}-3`)
  await eventually(async () => (await readiness(cluster))['log']?.['backlog_entries'] === 0, {
    what: 'the drained log',
  })
  return { sale, bought, receipt, held, heldByBob }
}

type Sold = Awaited<ReturnType<typeof sellSome>>

async function readiness(cluster: Cluster): Promise<Record<string, Record<string, unknown>>> {
  return ((await cluster.http.get('/readyz')).json?.['checks'] ?? {}) as Record<string, Record<string, unknown>>
}

/** They come back: everything they were told still holds, and so do the rules. */
async function assertHonoured(cluster: Cluster, told: Sold): Promise<void> {
  const { sale, bought, receipt, held, heldByBob } = told
  assert.equal((await purchase(cluster, bought)).text, receipt.text)
  assertProblem(await checkout(cluster, 'bob', `${sale}-1`), 409, 'item_sold')
  assertProblem(await checkout(cluster, 'carl', `${sale}-2`), 409, 'item_held')
  assert.equal(codeOf(await checkout(cluster, 'ann', `${sale}-2`)), held, 'the same code again')
  assert.equal((await purchase(cluster, heldByBob)).status, 200, 'a code of before')
  await hold(cluster, 'ann', `${sale}-4`)
  assertProblem(await checkout(cluster, 'ann', `${sale}-5`), 409, 'user_limit_reached')
  const state = (await cluster.http.get('/sale')).json
  assert.deepEqual([state?.['sold'], state?.['held']], [2, 2])
}

async function assertAudited(cluster: Cluster): Promise<void> {
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
}

async function untilSelling(cluster: Cluster): Promise<void> {
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200, { what: 'ready again' })
}

async function untilRecovered(t: TestContext, cluster: Cluster, recoveries: number): Promise<void> {
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  const isRecovered = async () => (await scrape(metrics)).value('hotcakes_recoveries_total') === recoveries
  await eventually(isRecovered, { what: 'the recovery' })
  await untilSelling(cluster)
  assert.equal((await scrape(metrics)).value('hotcakes_record_sound'), 1)
}

function linesWith(cluster: Cluster, text: string): string[] {
  return cluster.logLines().filter((line) => line.includes('"process":"primary"') && line.includes(text))
}

test('a Redis that is emptied under a selling server is rebuilt from Postgres', async (t) => {
  const { redis, cluster } = await startAll(t)
  const told = await sellSome(cluster)
  await (await openRedis(t, redis.admin)).flushall()
  await untilRecovered(t, cluster, 1)
  await assertHonoured(cluster, told)
  await assertAudited(cluster)
  assert.equal(linesWith(cluster, 'HC_LOG_LOST').length, 1, cluster.logLines().join('\n'))
  assert.equal((await cluster.stop()).code, 0)
})
