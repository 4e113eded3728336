// Goal: a master that handed over, and takes over again before it has heard of the epoch that replaced it, is compared like any
// other that takes over: the server goes on by itself. That it is the same process, whose data name it, proves nothing.
// Method: the real server at a real cluster. A master hands over, and can't copy from its successor; that one is admitted and dies.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { checkout, codeOf, currentSale, hold } from './helpers/items.ts'
import { openPostgres } from './helpers/record.ts'
import { linesWith } from './helpers/recovering-shop.ts'
import { startRedisCluster } from './helpers/redis-cluster.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'

const shards = 3
/** Of shard 0. */
const [firstItem, secondItem, thirdItem] = [1, 4, 7]

async function startShop(t: TestContext) {
  const [redis, postgres] = await Promise.all([
    startRedisCluster(t, { masters: shards, replicas: 1 }),
    startPostgres(t, { durable: true }),
  ])
  const { cluster: nodes, user, password } = redis.settings
  const db = servicesEnv({ redis: { host: '', port: 0, user, password, tls: false }, db: postgres.connection })
  const { REDIS_HOST: _host, REDIS_PORT: _port, ...services } = db
  const env = {
    ...services,
    REDIS_CLUSTER: nodes,
    APP_SHARDS: String(shards),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_USER_LIMIT: '3',
    APP_WORKERS: '1',
  }
  return { redis, record: openPostgres(t, postgres.connection), cluster: await startCluster(t, { env }) }
}

type Shop = Awaited<ReturnType<typeof startShop>>

async function untilEpoch({ record }: Shop, epoch: number): Promise<void> {
  const newest = () =>
    record.query<{ epoch: number }>('select max(epoch)::int as epoch from log_epochs where shard = 0')
  await eventually(() => newest()[0]?.epoch === epoch, { what: `epoch ${epoch} of shard 0` })
}

async function untilRecorded({ record }: Shop, user: string): Promise<void> {
  const attempts = () => record.query('select from checkout_attempts where user_id = $1', [user])
  // One more where the answer to the first was lost.
  await eventually(() => attempts().length >= 1, { what: `the hold of ${user} in Postgres` })
}

/** By a worker that has found the way there. */
async function decidedCheckout({ cluster }: Shop, user: string, item: string): Promise<HttpReply> {
  return await eventually(
    async () => {
      const reply = await checkout(cluster, user, item)
      return reply.status === 503 ? undefined : reply
    },
    { what: `a decision on item ${item}` },
  )
}

/** The first master of shard 0 has it again, and knows of no epoch but its own first one. */
async function handOverAndBack(shop: Shop, meanwhile: () => Promise<void>): Promise<void> {
  const { redis } = shop
  const first = await redis.masterOf(0)
  const admin = await redis.open(first)
  try {
    await admin.config('SET', 'masterauth', 'none that its successor knows')
    const successor = await redis.failOver(0)
    await untilEpoch(shop, 2)
    await meanwhile()
    await successor.kill()
    await eventually(
      async () => {
        if (String(await admin.call('ROLE')).startsWith('slave')) await admin.call('CLUSTER', 'FAILOVER', 'FORCE')
        return (await redis.masterOf(0)).id === first.id
      },
      { what: 'the first master takes over' },
    )
    await successor.start()
  } finally {
    admin.disconnect()
  }
}

async function assertAudited({ cluster }: Shop): Promise<void> {
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
  assert.equal((await cluster.stop()).code, 0)
}

test('where nothing was decided in its absence it goes on in a third epoch', async (t) => {
  const shop = await startShop(t)
  const { cluster } = shop
  const sale = await currentSale(cluster)
  const code = await hold(cluster, 'ann', `${sale}-${firstItem}`)
  await handOverAndBack(shop, async () => undefined)
  await untilEpoch(shop, 3)
  assert.equal(codeOf(await decidedCheckout(shop, 'ann', `${sale}-${firstItem}`)), code)
  const reply = await decidedCheckout(shop, 'bob', `${sale}-${secondItem}`)
  assert.match(String(reply.headers['hotcakes-decision']), /^3-/)
  assert.equal(linesWith(cluster, 'HC_RUN_REPLACED').length, 0)
  await assertAudited(shop)
})

test('where something was, it is rebuilt', async (t) => {
  const shop = await startShop(t)
  const { cluster } = shop
  const sale = await currentSale(cluster)
  await hold(cluster, 'ann', `${sale}-${firstItem}`)
  let code = ''
  await handOverAndBack(shop, async () => {
    code = codeOf(await decidedCheckout(shop, 'bob', `${sale}-${secondItem}`))
    await untilRecorded(shop, 'bob')
  })
  await untilEpoch(shop, 3)
  assert.equal(codeOf(await decidedCheckout(shop, 'bob', `${sale}-${secondItem}`)), code)
  assert.equal((await decidedCheckout(shop, 'cid', `${sale}-${thirdItem}`)).status, 200)
  assert.equal(linesWith(cluster, 'HC_RUN_REPLACED').length, 0)
  await assertAudited(shop)
})
