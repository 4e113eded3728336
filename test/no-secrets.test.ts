import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import type { Postgres } from '../core/postgres/connection.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { readFacts } from '../ops/embedded/facts.ts'
import { runAudit } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { checkoutPath } from './helpers/items.ts'
import { openPostgres } from './helpers/record.ts'
import { commandTimeoutMs, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

// Goal: a password is in no log line, no error, no answer and no command line, whatever happens.
// Method: passwords with characters that are escaped in many ways around a core that none escapes, and a life with
// everything that makes clients complain: wrong passwords at the start, and right ones that turn wrong.

const redisCore = 'RedisSecretOfTheTest'
const postgresCore = 'PostgresSecretOfTheTest'
const wrongCore = 'WrongSecretOfTheTest'
const around = (core: string) => `@:/ '"\\%41${core}'"\\%41 #?&`

test('no password is ever told', async (t) => {
  const { env, store, setRedisPassword, setPostgresPassword } = await start(t)
  const said: string[] = []

  for (const name of ['REDIS_PASSWORD', 'DB_PASSWORD']) {
    const failing = await startCluster(t, { env: { ...env, [name]: around(wrongCore) }, awaitReady: false })
    await eventually(() => failing.logLines().some((line) => /WRONGPASS|authentication failed/.test(line)), {
      what: `a complaint about ${name}`,
    })
    await failing.stop()
    said.push(...failing.logLines())
    const audit = await runAudit({ ...env, [name]: around(wrongCore) })
    assert.equal(audit.status, 3)
    said.push(audit.stdout, audit.stderr)
    const malformed = await startCluster(t, { env: { ...env, [name]: `${wrongCore}\n` }, awaitReady: false })
    await malformed.exited
    assert.ok(malformed.logLines().some((line) => line.includes(name)))
    said.push(...malformed.logLines())
  }

  const cluster = await startCluster(t, { env })
  const sale = Number((await cluster.http.get('/sale')).json?.['id'])
  const tell = async () => {
    for (const path of ['/readyz', '/livez', '/health', '/sale']) said.push((await cluster.http.get(path)).text)
    said.push((await cluster.http.post(checkoutPath('me', `${sale}-1`))).text)
    // On a connection of its own: one that is kept may be closed just as it is used again.
    said.push(await (await fetch(`${cluster.metricsUrl}/metrics`, { headers: { connection: 'close' } })).text())
  }
  await tell()

  await store.redis.call('ACL', 'LOG', 'RESET')
  await setRedisPassword(around(wrongCore))
  await store.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  // Five connections of the server come back: the primary's, the persister's two, and one of each HTTP worker.
  await eventually(async () => (await timesTurnedAway(store)) >= 10, { what: 'everybody turned away by Redis' })
  await tell()
  await setRedisPassword(around(redisCore))
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200, { what: 'ready again' })

  setPostgresPassword(around(wrongCore))
  process.kill(persisterPid(cluster), 'SIGKILL') // the next one is sent the settings again, and is turned away
  const hold = async () => (await cluster.http.post(checkoutPath('me', `${sale}-2`))).status === 200
  await eventually(hold, { what: 'something for it to copy' })
  await eventually(() => cluster.logLines().some((line) => line.includes('authentication failed')), {
    what: 'a complaint of the persister',
  })
  await tell()
  setPostgresPassword(around(postgresCore))
  await eventually(async () => (await store.logState()).backlogEntries === 0, { what: 'a drained log' })

  said.push(...commandLines(cluster))
  await cluster.stop()
  said.push(...cluster.logLines())
  t.diagnostic(`${said.length} texts were searched`)
  assertUntold(said, [redisCore, postgresCore, wrongCore])
})

test('the passwords that the server makes for its embedded services are never told', async (t) => {
  const cluster = await startCluster(t, { env: { LOG_LEVEL: 'trace' } })
  const { postgres, redis } = readFacts(cluster.dataDir)
  assert.ok(postgres && redis)
  const said = [...commandLines(cluster)]
  const serviceLogs = ['postgres.log', 'redis.log'].map((name) => join(cluster.dataDir, name))
  await eventually(() => serviceLogs.every((file) => existsSync(file)))
  said.push(...serviceLogs.map((file) => readFileSync(file, 'utf8')))
  await cluster.stop()
  assertUntold([...said, ...cluster.logLines()], [postgres.connection.password, redis.connection.password])
})

function assertUntold(said: readonly string[], secrets: readonly string[]): void {
  for (const secret of secrets) {
    const telling = said.filter((text) => text.includes(secret))
    assert.deepEqual(telling, [])
  }
}

/** Services whose passwords can be changed while they run, and settings with the first of them. */
async function start(t: TestContext) {
  const redis = await startRedis(t)
  const service = await startPostgres(t)
  // Both connections are made with the passwords that the services came with, and outlive their change.
  const store = new SaleStore(redis.admin, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  const postgres = openPostgres(t, { ...service.connection, ownerUser: '' })
  const setRedisPassword = (password: string) =>
    store.redis.call('ACL', 'SETUSER', redis.connection.user, 'resetpass', `>${password}`)
  const setPostgresPassword = (password: string): void => {
    postgres.query(`alter role current_user password ${literal(postgres, password)}`)
  }
  await setRedisPassword(around(redisCore))
  setPostgresPassword(around(postgresCore))
  const env = {
    ...servicesEnv({ db: service.connection, redis: redis.connection }),
    REDIS_PASSWORD: around(redisCore),
    DB_PASSWORD: around(postgresCore),
    LOG_LEVEL: 'trace',
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  }
  return { env, store, setRedisPassword, setPostgresPassword }
}

function literal(postgres: Postgres, text: string): string {
  return postgres.query<{ quoted: string }>('select quote_literal($1) as quoted', [text])[0]?.quoted ?? ''
}

/** Since the reset of the log in which Redis counts them. */
async function timesTurnedAway({ redis }: SaleStore): Promise<number> {
  const entries = (await redis.call('ACL', 'LOG')) as [name: 'count', times: number][]
  return entries.reduce((sum, [, times]) => sum + times, 0)
}

function persisterPid(cluster: Cluster): number {
  const started = cluster.logLines().findLast((line) => line.includes('"process":"persister"'))
  return (JSON.parse(started ?? '') as { pid: number }).pid
}

/** Of the primary and its children: what anybody on the machine can read. */
function commandLines({ pid }: Cluster): string[] {
  if (!existsSync('/proc/self/task')) return []
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  )
  assert.ok(children.length >= 3)
  return [pid, ...children].map((process) => readFileSync(`/proc/${process}/cmdline`, 'utf8'))
}
