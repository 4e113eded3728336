// Goal: what docs/OPERATING.md says of backups holds: which pairs of copies fit, what is sold again, and what is honoured.
// Method: the commands of that document, run as they stand there, on a shop that has sold: a Redis and a PostgreSQL of the
// operator's own, of a version that Debian's pg_dump can read.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { provideEngine } from './engines/engines.ts'
import { runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { documentedCommands, runCommands, runDocumented } from './helpers/documented.ts'
import { eventually } from './helpers/eventually.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { writePasswordFile } from './helpers/password-file.ts'
import {
  assertAuditedAndStop,
  assertHonoured,
  readiness,
  sellSome,
  tellSome,
  untilDrained,
  untilRecovered,
} from './helpers/recovering-shop.ts'
import { type RedisCluster, startRedisCluster } from './helpers/redis-cluster.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { letSuperuserIn } from './helpers/superuser.ts'

Object.assign(process.env, provideEngine('postgresql-15', { say: () => undefined }))
const path = 'docs/OPERATING.md'
const orderly = { code: 0, signal: null }
const shop = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '3', APP_WORKERS: '1' }

/** What an operator has in his shell. */
async function startServices(t: TestContext) {
  const [redisFolder, postgresFolder, backup] = [temporaryFolder(t), temporaryFolder(t), temporaryFolder(t)]
  const [redis, postgres] = await Promise.all([
    startRedis(t, { folder: redisFolder }),
    startPostgres(t, { folder: postgresFolder, durable: true }),
  ])
  const db = postgres.connection
  await letSuperuserIn(postgres, postgresFolder)
  const shell = {
    BACKUP: backup,
    REDIS_HOST: redis.connection.host,
    REDIS_PORT: String(redis.connection.port),
    REDISCLI_AUTH: redis.admin.password,
    REDIS_DIR: join(redisFolder, 'redis'),
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    PGPASSFILE: writePasswordFile(join(backup, 'pgpass'), db),
    HOTCAKES_OWNER_PASSWORD: db.ownerPassword,
    HOTCAKES_PASSWORD: db.password,
    HOTCAKES_AUDIT_PASSWORD: 'of-the-audit',
    HOTCAKES_READER_PASSWORD: 'of-the-reader',
  }
  return { redis, postgres, shell, env: { ...shop, ...servicesEnv({ redis: redis.connection, db }) } }
}

type Services = Awaited<ReturnType<typeof startServices>>

async function openShop(t: TestContext) {
  const services = await startServices(t)
  return { ...services, cluster: await startCluster(t, { env: services.env }) }
}

const backUp = ({ shell }: Services) => runDocumented({ path, heading: 'Making a backup' }, shell)
const restorePostgres = ({ shell }: Services) => runDocumented({ path, heading: 'Restoring a backup' }, shell)

async function restoreRedis({ redis, shell }: Services): Promise<void> {
  await redis.stop()
  await runDocumented({ path, heading: 'Restoring a backup', block: 1 }, shell)
  await redis.start()
}

/** A server of several shards is ready as soon as one of them sells: this waits for all. */
async function startSharded(t: TestContext, env: Readonly<Record<string, string>>): Promise<Cluster> {
  const cluster = await startCluster(t, { env })
  const isComplete = async () => (await readiness(cluster))['shards']?.['status'] === 'complete'
  await eventually(isComplete, { what: 'all shards' })
  return cluster
}

/** What is bought after the backup, and on record: one item. */
async function sellMore(cluster: Cluster, sale: number): Promise<string> {
  const code = await hold(cluster, 'late', `${sale}-9`)
  assert.equal((await purchase(cluster, code)).status, 200)
  await untilDrained(cluster)
  return code
}

/** By a second signal, when it is taken for one and not for an echo of the first: it would wait for Postgres. */
async function endAtOnce(cluster: Cluster): Promise<void> {
  let hasEnded = false
  void cluster.exited.then(() => (hasEnded = true))
  await eventually(
    () => {
      if (!hasEnded) process.kill(cluster.pid, 'SIGTERM')
      return hasEnded
    },
    { what: 'the end of the server' },
  )
}

/** It is as if it had never been. */
async function assertGivenUp(cluster: Cluster, sale: number, code: string): Promise<void> {
  assertProblem(await purchase(cluster, code), 404, 'code_unknown')
  assert.equal((await checkout(cluster, 'someone', `${sale}-9`)).status, 200)
}

test('both are lost, and the backup is restored: what was bought before it is bought', async (t) => {
  const services = await openShop(t)
  const { cluster } = services
  const told = await sellSome(cluster)
  await backUp(services)
  const late = await sellMore(cluster, told.sale)
  assert.deepEqual(await cluster.stop(), orderly)

  await restorePostgres(services)
  await restoreRedis(services)
  const again = await startCluster(t, { env: services.env })
  await assertHonoured(again, told)
  await assertGivenUp(again, told.sale, late)
  await assertAuditedAndStop(again)
})

test('an older copy of Redis beside the Postgres of today is rebuilt: all that was bought is bought', async (t) => {
  const services = await openShop(t)
  const { cluster } = services
  await hold(cluster, 'zoe', `${await currentSale(cluster)}-7`)
  await untilDrained(cluster)
  await backUp(services)
  const told = await sellSome(cluster)
  assert.deepEqual(await cluster.stop(), orderly)

  await restoreRedis(services)
  const again = await startCluster(t, { env: services.env })
  await untilRecovered(t, again, 1)
  await assertHonoured(again, told, { otherHolds: 1 })
  await assertAuditedAndStop(again)
})

test('what Postgres had not got when the backup was made is in the copy of Redis', async (t) => {
  const services = await openShop(t)
  const { cluster, postgres, shell } = services
  const told = await sellSome(cluster)
  await postgres.stop()
  const code = await hold(cluster, 'dora', `${told.sale}-8`)
  const receipt = await purchase(cluster, code)
  assert.equal(receipt.status, 200, receipt.text)
  const commands = documentedCommands({ path, heading: 'Making a backup' }).trimEnd().split('\n')
  await runCommands(commands.slice(0, -1).join('\n'), shell)
  const late = await hold(cluster, 'late', `${told.sale}-9`)
  await endAtOnce(cluster)

  await restoreRedis(services)
  await postgres.start()
  const again = await startCluster(t, { env: services.env })
  assert.equal((await purchase(again, code)).text, receipt.text)
  assert.equal((await purchase(again, told.bought)).text, told.receipt.text)
  await assertGivenUp(again, told.sale, late)
  await assertAuditedAndStop(again)
})

test('a Redis that is newer than the copy of Postgres is refused, until it is given up', async (t) => {
  const services = await openShop(t)
  const { cluster, shell } = services
  const told = await sellSome(cluster)
  await backUp(services)
  const late = await sellMore(cluster, told.sale)
  assert.deepEqual(await cluster.stop(), orderly)

  await restorePostgres(services)
  const refused = await startCluster(t, { env: services.env, awaitReady: false })
  assert.deepEqual(await refused.exited, { code: 1, signal: null })
  assert.ok(
    refused.logLines().some((line) => line.includes('HC_LOG_GAP')),
    refused.logLines().join('\n'),
  )
  const { verdict, checks } = await runAuditJson(services.env, ['--wait-seconds', '1'])
  const gap = checks.find(({ check }) => check === 'log_gap')
  assert.deepEqual([verdict, gap?.breaches], ['breached', 1])

  await runDocumented({ path, heading: "An older copy of Postgres, and today's Redis" }, shell)
  const again = await startCluster(t, { env: services.env })
  await untilRecovered(t, again, 1)
  await assertHonoured(again, told)
  await assertGivenUp(again, told.sale, late)
  await assertAuditedAndStop(again)
})

test('Redis is copied from another machine, and the sale goes on in a new epoch', async (t) => {
  const { shell, cluster } = await openShop(t)
  const told = await sellSome(cluster)
  await runDocumented({ path, heading: 'Making a backup', block: 1 }, shell)
  assert.equal(readFileSync(join(shell.BACKUP, 'redis.rdb')).subarray(0, 5).toString('latin1'), 'REDIS')
  await eventually(
    async () => {
      const { headers } = await checkout(cluster, 'bob', `${told.sale}-3`)
      return String(headers['hotcakes-decision']).startsWith('2-')
    },
    { what: 'the next epoch' },
  )
  await assertHonoured(cluster, told)
  await assertAuditedAndStop(cluster)
})

test('a shop over three shards is restored from Postgres alone, into a cluster that is empty', async (t) => {
  const services = await startServices(t)
  const [before, after] = [await startRedisCluster(t, { masters: 3 }), await startRedisCluster(t, { masters: 3 })]
  const envOf = ({ settings }: RedisCluster) => {
    return {
      ...services.env,
      REDIS_HOST: '',
      REDIS_PORT: '',
      REDIS_CLUSTER: settings.cluster,
      REDIS_PASSWORD: settings.password,
      APP_SHARDS: '3',
    }
  }
  const cluster = await startSharded(t, envOf(before))
  const sale = await currentSale(cluster)
  const codes: string[] = []
  for (const index of [1, 2, 3, 4, 5, 6]) codes.push(await hold(cluster, `user-${index % 2}`, `${sale}-${index}`))
  const receipts = await Promise.all(codes.slice(0, 3).map((code) => purchase(cluster, code)))
  await untilDrained(cluster)
  const commands = documentedCommands({ path, heading: 'Making a backup' }).trimEnd().split('\n')
  await runCommands(commands.at(-1) ?? '', services.shell)
  await hold(cluster, 'late', `${sale}-9`)
  assert.deepEqual(await cluster.stop(), orderly)

  await restorePostgres(services)
  const again = await startSharded(t, envOf(after))
  for (const [at, receipt] of receipts.entries()) {
    assert.equal(receipt.status, 200, receipt.text)
    assert.equal((await purchase(again, codes[at] ?? '')).text, receipt.text)
  }
  for (const code of codes.slice(3)) assert.equal((await purchase(again, code)).status, 200, 'a hold of before')
  for (const user of ['user-0', 'user-1'])
    assertProblem(await checkout(again, user, `${sale}-9`), 409, 'user_limit_reached')
  await hold(again, 'another', `${sale}-9`)
  await assertAuditedAndStop(again)
})

test('the folder of embedded services that were stopped is a backup of all', async (t) => {
  const folder = temporaryFolder(t)
  const shell = { APP_DATA_DIR: join(folder, 'data'), BACKUP: folder }
  const first = await startCluster(t, { env: shop, dataDir: shell.APP_DATA_DIR })
  const told = await tellSome(first)
  assert.deepEqual(await first.stop(), orderly)
  await runDocumented({ path, heading: 'The embedded services' }, shell)
  const second = await startCluster(t, { env: shop, dataDir: shell.APP_DATA_DIR })
  const late = await hold(second, 'late', `${told.sale}-9`)
  assert.deepEqual(await second.stop(), orderly)

  await runDocumented({ path, heading: 'The embedded services', block: 1 }, shell)
  const again = await startCluster(t, { env: shop, dataDir: shell.APP_DATA_DIR })
  await assertHonoured(again, told)
  await assertGivenUp(again, told.sale, late)
  await assertAuditedAndStop(again)
})
