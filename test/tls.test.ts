// Goal: what travels to Redis and Postgres is encrypted for the servers that the operator means, and for nobody else.
// Method: real certificates for the name localhost. The same servers under their address are then servers with the wrong
// name, and to who trusts another authority they are strangers.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freePort } from '../core/free-port.ts'
import { connectPostgres } from '../core/postgres/connection.ts'
import { checkCluster } from '../core/redis/cluster-check.ts'
import { connectRedis, firstConnect, type RedisSettings } from '../core/redis/connection.ts'
import { firstShard } from '../core/shards.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { startMove } from './helpers/move-shard.ts'
import { openPostgres } from './helpers/record.ts'
import { startRedisCluster } from './helpers/redis-cluster.ts'
import { createFolder, removeFolder, temporaryFolder } from './helpers/scope.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const folder = temporaryFolder({ after })
const [ca, certificate, key] = ['ca.crt', 'server.crt', 'server.key'].map((name) => join(folder, name)) as Files
const strangers = join(folder, 'strangers.crt')
type Files = [ca: string, certificate: string, key: string]

makeCertificate('ca', [])
makeCertificate('strangers', [])
makeCertificate('server', ['-addext', 'subjectAltName=DNS:localhost', '-CA', ca, '-CAkey', join(folder, 'ca.key')])

const redis = await startTlsRedis()
const db = { ...(await startTlsPostgres()), host: 'localhost', sslMode: 'verify-full' as const, sslRootCert: ca }

/** Signed by itself, unless the options name an authority. */
function makeCertificate(name: string, options: readonly string[]): void {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)]
  execFileSync('openssl', ['req', ...kind, '-subj', `/CN=${name}`, ...files, ...options], { stdio: 'pipe' })
}

async function startTlsRedis(): Promise<RedisSettings> {
  const service = await startRedis({ after })
  const admin = await openRedis({ after }, service.admin)
  const port = await freePort()
  const files = ['tls-cert-file', certificate, 'tls-key-file', key, 'tls-ca-cert-file', ca]
  await admin.call('CONFIG', 'SET', ...files, 'tls-auth-clients', 'no', 'tls-port', port, 'port', 0)
  return { ...service.connection, host: 'localhost', port, tls: true, tlsCa: ca }
}

async function startTlsPostgres() {
  const data = createFolder()
  const service = await startPostgres({ after }, { folder: data })
  after(() => removeFolder(data))
  await service.stop()
  const home = join(data, 'postgres')
  for (const file of [certificate, key]) {
    const copy = join(home, file === key ? 'server.key' : 'server.crt')
    copyFileSync(file, copy)
    chownSync(copy, statSync(home).uid, statSync(home).gid)
  }
  appendFileSync(join(home, 'postgresql.conf'), '\nssl = on\n')
  await service.start()
  return service.connection
}

async function connect(settings: RedisSettings): Promise<void> {
  const client = connectRedis(settings, { shard: firstShard, name: 'hotcakes test' })
  try {
    await firstConnect(client, settings)
  } finally {
    client.disconnect()
  }
}

test('a server sells over encrypted connections alone', async (t) => {
  const { user, password, port } = redis
  const cluster = await startCluster(t, {
    env: {
      ...servicesEnv({
        db: { ...db, sslMode: 'disable' },
        redis: { host: 'localhost', port, user, password, tls: false },
      }),
      DB_SSL_MODE: 'verify-full',
      DB_SSL_ROOT_CERT: ca,
      REDIS_TLS: 'true',
      REDIS_TLS_CA: ca,
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    },
  })
  const code = codeOf(await cluster.http.post(checkoutPath('ann', `${await currentSale(cluster)}-1`)))
  assert.equal((await cluster.http.post(purchasePath(code))).status, 200)
  const postgres = openPostgres(t, { ...db, sslMode: 'disable' })
  await eventually(() => postgres.query('select from purchases').length === 1)
  const sessions = postgres.query<{ ssl: boolean }>(
    'select ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename = $1',
    [db.user],
  )
  assert.ok(sessions.length > 0)
  assert.ok(sessions.every(({ ssl }) => ssl))
})

const unavailable = (message: RegExp) => ({ code: /^HC_(REDIS|POSTGRES)_UNAVAILABLE$/, message })

test('a Postgres with another name, or of another authority, is refused', () => {
  const named = { applicationName: 'hotcakes test' }
  connectPostgres(db, named).close()
  assert.throws(
    () => connectPostgres({ ...db, host: '127.0.0.1' }, named),
    unavailable(/"localhost".*does not match host/),
  )
  assert.throws(
    () => connectPostgres({ ...db, sslRootCert: strangers }, named),
    unavailable(/certificate verify failed/),
  )
})

test('a Redis with another name, or of another authority, is refused', async () => {
  await connect(redis)
  await assert.rejects(connect({ ...redis, host: '127.0.0.1' }), unavailable(/127\.0\.0\.1 is not in the cert/))
  await assert.rejects(connect({ ...redis, tlsCa: strangers }), unavailable(/unable to verify|self.signed/))
  await assert.rejects(connect({ ...redis, tls: false }), unavailable(/closed|ECONNRESET|EPIPE/))
})

test('the nodes of a cluster are reached by the names that they announce, which their certificates have', async (t) => {
  const cluster = await startRedisCluster(t, {
    masters: 1,
    tls: { certificate, key, ca },
    lines: ['cluster-announce-hostname localhost', 'cluster-preferred-endpoint-type hostname'],
  })
  await connect(cluster.settings)
  assert.deepEqual(await checkCluster(cluster.settings, 1), { warnings: [] })
  await assert.rejects(connect({ ...cluster.settings, tlsCa: strangers }), unavailable(/unable to verify|self.signed/))
  const [node] = cluster.nodes
  assert.ok(node !== undefined)
  const admin = await cluster.open(node)
  t.after(() => admin.disconnect())
  await admin.call('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'ip')
  await assert.rejects(connect({ ...cluster.settings }), unavailable(/127\.0\.0\.1 is not in the cert/))
  await admin.call('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'unknown-endpoint')
  await connect({ ...cluster.settings })
})

test('a shard moves over encrypted connections, between the nodes as well', async (t) => {
  const cluster = await startRedisCluster(t, {
    masters: 2,
    tls: { certificate, key, ca },
    lines: ['cluster-announce-hostname localhost', 'cluster-preferred-endpoint-type hostname'],
  })
  const { cluster: listed, user, password } = cluster.settings
  const {
    REDIS_HOST: _host,
    REDIS_PORT: _port,
    ...services
  } = servicesEnv({
    db: { ...db, sslMode: 'disable' },
    redis: { host: '', port: 0, user, password, tls: false },
  })
  const server = await startCluster(t, {
    env: {
      ...services,
      DB_SSL_MODE: 'verify-full',
      DB_SSL_ROOT_CERT: ca,
      REDIS_CLUSTER: listed,
      REDIS_TLS: 'true',
      REDIS_TLS_CA: ca,
      APP_SHARDS: '2',
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    },
  })
  const code = codeOf(await server.http.post(checkoutPath('ann', `${await currentSale(server)}-2`)))
  const to = await cluster.masterOf(0)
  const target = { host: 'localhost', port: to.tlsPort ?? 0 }
  const { status, stderr } = await startMove(t, { env: server.env, cluster, shard: 1, to: target }).ended
  assert.equal(status, 0, stderr)
  assert.equal((await cluster.masterOf(1)).id, to.id)
  await eventually(async () => (await server.http.post(purchasePath(code))).status === 200)
})

test('a server that was given the wrong authority says so and does not start', async (t) => {
  const { user, password, port } = redis
  const settings = {
    db: { ...db, sslMode: 'disable' as const },
    redis: { host: 'localhost', port, user, password, tls: false as const },
  }
  const env = { ...servicesEnv(settings), REDIS_TLS: 'true', REDIS_TLS_CA: strangers }
  const cluster = await startCluster(t, { env, awaitReady: false })
  const complaint = () => cluster.logLines().find((line) => /waiting for Redis at .*, up to/.test(line))
  assert.match(await eventually(complaint), /unable to verify|self.signed/)
  assert.equal((await cluster.stop()).code, 0)
})
