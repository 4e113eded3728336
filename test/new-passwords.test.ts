// Goal: passwords are changed as docs/OPERATING.md says, and no buyer notices.
// Method: its commands on a real Redis and a real PostgreSQL, with two servers that are restarted one after the other while
// buyers buy at the one that stays.

import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { connectPostgres } from '../core/postgres/connection.ts'
import { connectNode } from '../core/redis/connection.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { runDocumented } from './helpers/documented.ts'
import { eventually } from './helpers/eventually.ts'
import { currentSale, hold, purchase } from './helpers/items.ts'
import { assertAuditedAndStop } from './helpers/recovering-shop.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { letSuperuserIn } from './helpers/superuser.ts'

const chapter = { path: 'docs/OPERATING.md', heading: 'New passwords' }
const shop = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_WORKERS: '1' }
const renewed = { redis: 'of-redis anew', db: "of 'Postgres' anew" }

async function startServices(t: TestContext) {
  const folder = temporaryFolder(t)
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t, { folder, isWhole: true })])
  await letSuperuserIn(postgres, folder)
  return { redis, db: postgres.connection }
}

/** Buys one item after the other at a server, until it is told to stop; everybody gets what he asks for. */
async function buyMeanwhile(
  cluster: Cluster,
  sale: number,
  from: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const over = new AbortController()
  let index = from
  const buying = (async () => {
    while (!over.signal.aborted) {
      const code = await hold(cluster, `buyer-${index}`, `${sale}-${index}`)
      const { status, text } = await purchase(cluster, code)
      assert.equal(status, 200, text)
      index += 1
      await delay(5) // so that there are items enough, however long a stop and a start take
    }
  })()
  await Promise.all([work().finally(() => over.abort()), buying])
  assert.ok(index > from)
  return index
}

/** One that has lost its connection to Postgres gets no other: what it leaves is put on record by the others, as the audit shows. */
async function stopOld(cluster: Cluster): Promise<void> {
  const { code } = await cluster.stop()
  const hasLeft = cluster
    .logLines()
    .some((line) => line.includes('log entries are not in Postgres yet: Redis keeps them'))
  assert.equal(code, hasLeft ? 1 : 0)
}

test('passwords are changed at two servers, one after the other, and every buyer gets his item', async (t) => {
  const { redis, db } = await startServices(t)
  const env = { ...shop, ...servicesEnv({ redis: redis.connection, db }) }
  const [one, other] = [await startCluster(t, { env }), await startCluster(t, { env })]
  const sale = await currentSale(one)
  const shell = {
    REDIS_HOST: redis.connection.host,
    REDIS_PORT: String(redis.connection.port),
    REDISCLI_AUTH: redis.admin.password,
    OLD_REDIS_PASSWORD: redis.connection.password,
    NEW_REDIS_PASSWORD: renewed.redis,
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    NEW_DB_PASSWORD: renewed.db,
  }
  const newEnv = { ...env, REDIS_PASSWORD: renewed.redis, DB_PASSWORD: renewed.db }
  const orderly = { code: 0, signal: null }

  const started: Cluster[] = []
  const next = await buyMeanwhile(other, sale, 1, async () => {
    await runDocumented(chapter, shell)
    await stopOld(one)
    started.push(await startCluster(t, { env: newEnv }))
  })
  const [first = assert.fail()] = started
  await buyMeanwhile(first, sale, next, async () => {
    await stopOld(other)
    started.push(await startCluster(t, { env: newEnv }))
    await runDocumented({ ...chapter, block: 1 }, shell)
  })

  const old = redis.connection
  await assert.rejects(connectNode(old, old), { code: 'HC_REDIS_REFUSED', message: /WRONGPASS/ })
  assert.throws(() => connectPostgres(db, { applicationName: 'hotcakes test' }), { code: 'HC_POSTGRES_UNAVAILABLE' })
  const [, second = assert.fail()] = started
  assert.deepEqual(await second.stop(), orderly)
  await assertAuditedAndStop(first)
})

test('a reload doesn’t take a password, and says so', async (t) => {
  const { redis, db } = await startServices(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'password')
  appendFileSync(file, db.password)
  const env = { ...shop, ...servicesEnv({ redis: redis.connection, db }), DB_PASSWORD: '', DB_PASSWORD_FILE: file }
  const cluster = await startCluster(t, { env })
  appendFileSync(file, '-anew')
  process.kill(cluster.pid, 'SIGHUP')
  await eventually(() =>
    cluster.logLines().some((line) => /"settings":\["DB_PASSWORD"\].*at the next start/.test(line)),
  )
  await eventually(() => cluster.logLines().some((line) => /"reloaded"/.test(line)))
  assert.equal((await cluster.stop()).code, 0)
})
