import assert from 'node:assert/strict'
import { test } from 'node:test'

import { signalEchoMs } from '../core/limits.ts'
import { drainIdleMs } from '../server/worker/limits.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient, type HttpReply } from './helpers/http-client.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { isWhole, onePid, scrape } from './helpers/metrics.ts'
import { isStopped, processTree, stillRunning } from './helpers/processes.ts'
import { openConnection, type RawConnection, requestText } from './helpers/raw-http.ts'
import { openPostgres } from './helpers/record.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const calm = {
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), // no new sale in the middle of a test
  APP_HEARTBEAT_SECONDS: '60', // above what a test stops a process for
}

/** A cluster whose services outlive it, so that what it left in them can be looked at. */
async function startBesides(scope: Scope, env: Record<string, string> = {}) {
  const [redis, postgres] = await Promise.all([startRedis(scope), startPostgres(scope)])
  const services = { redis: redis.connection, db: postgres.connection }
  const cluster = await startCluster(scope, { env: { ...servicesEnv(services), ...calm, ...env } })
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  const whole = await eventually(async () => {
    const now = await scrape(metrics)
    return isWhole(now) ? now : undefined
  })
  return { cluster, services, whole }
}

/**
 * undefined: the connection was closed, as one is on which nothing was asked for so long.
 * @param lastMs when it was last used
 */
async function replyTo(connection: RawConnection, path: string, lastMs: number): Promise<HttpReply | undefined> {
  let sentMs = Number.POSITIVE_INFINITY
  try {
    await connection.send(requestText('POST', path))
    sentMs = performance.now()
    return await connection.reply()
  } catch (error) {
    if (Math.min(sentMs, performance.now()) - lastMs < drainIdleMs) throw error
    return undefined
  }
}

test('SIGTERM under load: every keep-alive client gets all its answers, all of them are on record, exit status 0', async (t) => {
  const { cluster, services } = await startBesides(t)
  const sale = await currentSale(cluster)
  const ledger = new Ledger()
  const port = Number(cluster.env['APP_PORT'])
  let answers = 0

  /** One request after the other on one connection until the server says that it closes it. */
  async function buy(client: number): Promise<void> {
    const connection = await openConnection(t, port)
    for (let item = client, askedMs = performance.now(); ; item += 32) {
      const lastMs = askedMs
      askedMs = performance.now()
      const reply = await replyTo(connection, `/checkout?user_id=user-${item}&id=${sale}-${item}`, lastMs)
      if (reply === undefined) break
      ledger.answered('checkout', reply)
      answers += 1
      if (reply.headers['connection'] === 'close') break
    }
    await eventually(() => connection.isClosed)
    assert.equal(connection.unread, '')
  }

  const clients = Array.from({ length: 32 }, (_, client) => buy(client + 1))
  await eventually(() => answers > 200)
  const pids = processTree(cluster.pid)
  process.kill(cluster.pid, 'SIGTERM')
  await Promise.all(clients)
  assert.deepEqual(await cluster.exited, { code: 0, signal: null })
  assert.deepEqual(stillRunning(pids), [])
  assert.equal(ledger.undecidedCount, 0)
  ledger.assertRecorded(openPostgres(t, services.db))
})

test('SIGTERM with a log that is not drained yet: all of it is in Postgres before the end', async (t) => {
  const { cluster, services, whole } = await startBesides(t)
  const sale = await currentSale(cluster)
  const persister = onePid(whole.pids('persister'))
  process.kill(persister, 'SIGSTOP')
  await eventually(() => isStopped(persister))
  for (let item = 1; item <= 15; item++) {
    const code = codeOf(await cluster.http.post(`/checkout?user_id=user-${item}&id=${sale}-${item}`))
    assert.equal((await cluster.http.post(`/purchase?code=${code}`)).status, 200)
  }
  process.kill(cluster.pid, 'SIGTERM')
  process.kill(persister, 'SIGCONT')
  assert.deepEqual(await cluster.exited, { code: 0, signal: null })
  const postgres = openPostgres(t, services.db)
  const [counts] = postgres.query(`
    select (select count(*)::int from checkout_attempts) as checkouts,
           (select count(*)::int from purchase_attempts) as attempts, (select count(*)::int from purchases) as purchases`)
  assert.deepEqual(counts, { checkouts: 15, attempts: 15, purchases: 15 })
})

test('the embedded services end with the server, after an orderly stop and after a killed primary', async (t) => {
  const first = await startCluster(t)
  const ordered = processTree(first.pid)
  assert.ok(ordered.length >= 6, 'the primary, two workers, the persister, Redis, Postgres')
  assert.deepEqual(await first.stop(), { code: 0, signal: null })
  assert.deepEqual(stillRunning(ordered), [])

  const second = await startCluster(t)
  const killed = processTree(second.pid)
  process.kill(second.pid, 'SIGKILL')
  await second.exited
  await eventually(() => assert.deepEqual(stillRunning(killed), []) === undefined)
})

test('a second signal ends at once: it says what was left, nothing keeps running, exit status 128 + its number', async (t) => {
  const { cluster, whole } = await startBesides(t)
  const victim = onePid(whole.pids('http'))
  const pids = processTree(cluster.pid)
  process.kill(victim, 'SIGSTOP')
  process.kill(cluster.pid, 'SIGINT')
  await eventually(() => cluster.logLines().some((line) => line.includes('stopping: SIGINT received')))
  const heardMs = performance.now()
  await eventually(() => performance.now() - heardMs > 2 * signalEchoMs)
  process.kill(cluster.pid, 'SIGINT')
  assert.deepEqual(await cluster.exited, { code: 130, signal: null })
  assert.deepEqual(stillRunning(pids), [])
  assert.ok(cluster.logLines().some((line) => line.includes(`left: http process ${victim} (draining)`)))
})

test('past its deadline the shutdown ends at once: it says what was left, exit status 1', async (t) => {
  const { cluster, whole } = await startBesides(t, { APP_SHUTDOWN_SECONDS: '5' })
  const victim = onePid(whole.pids('persister'))
  const pids = processTree(cluster.pid)
  process.kill(victim, 'SIGSTOP')
  const sale = await currentSale(cluster)
  codeOf(await cluster.http.post(`/checkout?user_id=late&id=${sale}-1`))
  process.kill(cluster.pid, 'SIGTERM')
  assert.deepEqual(await cluster.exited, { code: 1, signal: null })
  assert.deepEqual(stillRunning(pids), [])
  const left = cluster.logLines().filter((line) => line.includes('left: '))
  assert.ok(left.some((line) => line.includes(`left: persister process ${victim} (draining)`)))
  // The batch, and the opened sale if it was not drained yet when the persister was stopped.
  assert.ok(left.some((line) => /left: [12] log entries are not in Postgres yet/.test(line)))
})

test('a signal in the middle of the start ends it, with nothing left', async (t) => {
  // One that was ready before the signal came was not in the middle of its start.
  for (let wasReady = true; wasReady; ) {
    const cluster = await startCluster(t, { awaitReady: false })
    await eventually(() => cluster.logLines().some((line) => line.includes('embedded services are ready')))
    const pids = processTree(cluster.pid)
    process.kill(cluster.pid, 'SIGTERM')
    assert.deepEqual(await cluster.exited, { code: 0, signal: null })
    assert.deepEqual(stillRunning(pids), [])
    const lineWith = (text: string) => cluster.logLines().findIndex((line) => line.includes(text))
    const [readyAt, stoppingAt] = [lineWith('"msg":"ready"'), lineWith('stopping: SIGTERM received')]
    assert.ok(readyAt < stoppingAt, 'it goes no further')
    wasReady = readyAt >= 0
  }
})

test('an embedded service that ends by itself stops the server with the reason, exit status 1', async (t) => {
  const cluster = await startCluster(t)
  const pids = processTree(cluster.pid)
  const redis = stillRunning(pids).find(
    (process) => process.includes('redis-server') || process.includes('valkey-server'),
  )
  process.kill(onePid([Number.parseInt(redis ?? '', 10)]), 'SIGKILL')
  assert.deepEqual(await cluster.exited, { code: 1, signal: null })
  assert.deepEqual(stillRunning(pids), [])
  assert.ok(cluster.logLines().some((line) => line.includes('HC_EMBEDDED_FAILED')))
})
