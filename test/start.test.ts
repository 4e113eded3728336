import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settingPlaces } from '../core/config/settings.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
import { processTree, stillRunning } from './helpers/processes.ts'
import { emptyDatabase, openPostgres } from './helpers/record.ts'
import { type Scope, temporaryFolder } from './helpers/scope.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const primary = fileURLToPath(new URL('../server/primary/main.js', import.meta.url))
/** No new sale in the middle of a test. */
const longSale = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }

/** Runs the server to its end, for starts that end at once. */
function run(scope: Scope, args: readonly string[], env: Record<string, string> = {}) {
  const options = { cwd: temporaryFolder(scope), env: { PATH: process.env['PATH'] ?? '', ...env } }
  const { status, stdout, stderr } = spawnSync(process.execPath, [primary, ...args], { ...options, encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** That the cluster did not start, and gave this as the reason. */
async function assertRefused(cluster: Cluster, code: string, words: RegExp): Promise<void> {
  assert.deepEqual(await cluster.exited, { code: 1, signal: null })
  const fatal = cluster.logLines().filter((line) => line.includes('"level":"fatal"'))
  assert.equal(fatal.length, 1, cluster.logLines().join('\n'))
  const { code: said, msg } = JSON.parse(fatal[0] ?? '') as { code: string; msg: string }
  assert.deepEqual([said, words.test(msg)], [code, true], msg)
  assert.ok(!cluster.logLines().some((line) => line.includes('    at ')), 'no stack')
}

test('--help lists every setting; an unknown argument is refused', (t) => {
  const help = run(t, ['--help'])
  assert.equal(help.status, 0)
  for (const { setting } of settingPlaces) assert.ok(help.stdout.includes(setting.env), setting.env)
  const unknown = run(t, ['--port=1'])
  assert.deepEqual([unknown.status, unknown.stdout], [2, ''])
  assert.match(unknown.stderr, /Unknown option '--port'/)
})

test('bad settings are all named at once, without a stack and without a secret, exit status 2', (t) => {
  const bad = { APP_PORT: '80x', APP_ITEM_NUMBER: '0', DB_HOST: 'a b', DB_PASSWORD: 'hunter2\n' }
  const { status, stdout, stderr } = run(t, [], bad)
  assert.deepEqual([status, stdout], [2, ''])
  for (const name of Object.keys(bad)) assert.match(stderr, new RegExp(`^hotcakes: ${name} `, 'm'))
  assert.ok(!stderr.includes('hunter2') && !stderr.includes('    at '), stderr)
})

test('a second server on the same ports, or on the same data, says so and leaves the first one alone', async (t) => {
  const first = await startCluster(t)
  const again = (env: Record<string, string | undefined>) => {
    const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
    return startCluster(t, { awaitReady: false, env: Object.fromEntries(defined) })
  }
  const { APP_PORT, APP_METRICS_PORT, APP_DATA_DIR } = first.env
  await assertRefused(await again({ APP_PORT }), 'HC_PORT_IN_USE', new RegExp(`127.0.0.1:${APP_PORT}.* APP_PORT `))
  const everywhere = await again({ APP_PORT, APP_HOST: '0.0.0.0' })
  await assertRefused(everywhere, 'HC_PORT_IN_USE', new RegExp(`0.0.0.0:${APP_PORT}.* APP_PORT `))
  const metrics = await again({ APP_METRICS_PORT })
  await assertRefused(metrics, 'HC_PORT_IN_USE', new RegExp(`:${APP_METRICS_PORT}.* APP_METRICS_PORT `))
  await assertRefused(await again({ APP_DATA_DIR }), 'HC_DATA_DIR_IN_USE', new RegExp(`process ${first.pid}`))
  await eventually(async () => (await first.http.get('/readyz')).status === 200)
})

test('an address that is none of this machine is a setting that is wrong', async (t) => {
  const cluster = await startCluster(t, { awaitReady: false, env: { APP_HOST: '192.0.2.1' } })
  await assertRefused(cluster, 'HC_CONFIG', /192\.0\.2\.1:\d+, set by APP_/)
})

test('a restart in the middle of a sale goes on with it, also after the primary was killed', async (t) => {
  const first = await startCluster(t, { env: longSale })
  const sale = await currentSale(first)
  const codes = []
  for (let item = 1; item <= 3; item++) {
    codes.push(codeOf(await first.http.post(`/checkout?user_id=buyer&id=${sale}-${item}`)))
  }
  assert.equal((await first.http.post(`/purchase?code=${codes[0]}`)).status, 200)
  assert.equal((await first.stop()).code, 0)

  const second = await startCluster(t, { env: longSale, dataDir: first.dataDir })
  assert.equal(await currentSale(second), sale)
  assert.equal((await second.http.post(`/purchase?code=${codes[1]}`)).status, 200)
  process.kill(second.pid, 'SIGKILL')
  await second.exited

  const third = await startCluster(t, { env: longSale, dataDir: first.dataDir })
  assert.equal((await third.http.post(`/purchase?code=${codes[2]}`)).status, 200)
  const now = (await third.http.get('/sale')).json
  assert.deepEqual([now?.['id'], now?.['sold']], [sale, 3])
  const sold = await third.http.post(`/checkout?user_id=other&id=${sale}-1`)
  assert.equal(sold.json?.['code'], 'item_sold')
  assert.equal((await third.stop()).code, 0)
})

test('a database that is not the one of this Redis, or an older copy of it, is refused', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const env = { ...longSale, ...servicesEnv({ redis: redis.connection, db: postgres.connection }) }
  const start = () => startCluster(t, { env, awaitReady: false })
  const first = await startCluster(t, { env })
  const sale = await currentSale(first)
  codeOf(await first.http.post(`/checkout?user_id=buyer&id=${sale}-1`))
  assert.equal((await first.stop()).code, 0)

  const database = openPostgres(t, postgres.connection)
  database.query('update log_offsets set seq = 1')
  await assertRefused(await start(), 'HC_LOG_GAP', /up to 1-1, and 1 later entries are no longer in Redis/)
  database.query('update log_offsets set seq = 2')
  const again = await startCluster(t, { env })
  assert.equal((await again.stop()).code, 0)

  emptyDatabase(t, postgres.connection)
  await assertRefused(await start(), 'HC_RECORD_FOREIGN', /belongs to the record [-0-9a-f]{36}, not to /)
})

test('a Redis that forgets is refused, unless that is what is wanted: then it is said in log and metrics', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const env = servicesEnv({ redis: redis.connection, db: postgres.connection })
  const admin = await openRedis(t, redis.admin)
  await admin.config('SET', 'appendonly', 'no')
  await assertRefused(
    await startCluster(t, { env, awaitReady: false }),
    'HC_REDIS_UNSUITABLE',
    /appendonly is off.*REDIS_REQUIRE_DURABLE=false/,
  )

  const cluster = await startCluster(t, { env: { ...env, REDIS_REQUIRE_DURABLE: 'false' } })
  assert.ok(cluster.logLines().some((line) => line.includes('"level":"warn"') && line.includes('appendonly is off')))
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  assert.equal((await scrape(metrics)).total('hotcakes_redis_durable'), 0)
  assert.equal((await metrics.get('/')).status, 404)
  const posted = await metrics.post('/metrics')
  assert.deepEqual([posted.status, posted.headers['allow']], [405, 'GET'])
  assert.equal((await cluster.stop()).code, 0)
})

test('a server that waits for its database says so, and a refused start leaves nothing running', async (t) => {
  const redis = await startRedis(t)
  const db = {
    host: '127.0.0.1',
    port: 1,
    user: 'nobody',
    password: 'x',
    ownerUser: '',
    ownerPassword: '',
    name: 'none',
    sslMode: 'disable' as const,
  }
  const env = servicesEnv({ redis: redis.connection, db })
  const cluster = await startCluster(t, { env, awaitReady: false })
  const waiting = () => cluster.logLines().some((line) => line.includes('HC_POSTGRES_UNAVAILABLE'))
  await eventually(waiting)
  const pids = processTree(cluster.pid)
  assert.equal((await cluster.stop()).code, 0)
  assert.deepEqual(stillRunning(pids), [])
})
