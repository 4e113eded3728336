// Goal: the life of an HTTP worker process: what was accepted is answered, whoever ends it, and it never sells on alone.
// Method: this process takes the place of the primary. Redis is stopped (SIGSTOP) to keep requests undecided.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { freePort } from '../core/free-port.ts'
import { formatLogPosition } from '../core/log-position.ts'
import { outcomes } from '../core/outcomes.ts'
import { drainIdleMs, orphanFinishMs } from '../server/worker/limits.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { openConnection, type RawConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'

const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
const redis = await startRedis({ after })
let nextItem = 0

function newPath(sale: number): string {
  nextItem += 1
  return checkoutPath(`user-${nextItem}`, `${sale}-${nextItem}`)
}

async function checkoutsAnsweredBy(worker: TestHttpWorker): Promise<number> {
  return metricValue(await worker.metrics(), 'hotcakes_http_requests_total', { route: '/checkout' })
}

/** Checkouts that Redis has not decided yet, each on a connection of its own. Call the result to let Redis go on. */
async function undecided(
  scope: Scope,
  worker: TestHttpWorker,
  paths: readonly string[],
): Promise<{ connections: RawConnection[]; decide: () => void }> {
  const connections = await Promise.all(paths.map(() => openConnection(scope, worker.port)))
  const decide = () => void process.kill(redis.pid(), 'SIGCONT')
  scope.after(decide)
  process.kill(redis.pid(), 'SIGSTOP')
  for (const [n, path] of paths.entries()) await connections[n]?.send(requestText('POST', path))
  const waiting = async () => metricValue(await worker.metrics(), 'hotcakes_commands_waiting') >= paths.length
  await eventually(waiting, { what: 'the requests to wait for Redis' })
  return { connections, decide }
}

test('the routes of buying have their series before anybody asks for them', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const found = (await worker.metrics()).find(({ name }) => name === 'hotcakes_http_requests_total')?.values ?? []
  const routes = found.map(({ labels }) => `${labels['route']} ${labels['status']}`)
  assert.deepEqual(routes, ['/checkout 200', '/purchase 200', '/release 200'])
})

test('a drained worker answers what it had accepted and what still comes, and closes each connection', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const idle = await openConnection(t, worker.port)
  const busy = await openConnection(t, worker.port)
  await busy.send(requestText('GET', '/livez'))
  assert.equal((await busy.reply()).headers['connection'], undefined)

  const { connections, decide } = await undecided(t, worker, [newPath(sale), newPath(sale), newPath(sale)])
  worker.send({ type: 'drain' })
  await eventually(() => assert.rejects(openConnection(t, worker.port), { code: 'ECONNREFUSED' }).then(() => true))
  // Nothing is waited for now: what Redis hasn't decided within its time-out is answered 503.
  assert.ok(!idle.isClosed)
  await idle.send(requestText('POST', newPath(sale)))
  await busy.send(requestText('GET', '/readyz'))
  decide()
  const readiness = await busy.reply()
  assert.deepEqual([readiness.status, readiness.json?.['status']], [503, 'not_ready'])
  assert.equal(readiness.headers['connection'], 'close')
  assert.ok(Number(readiness.headers['retry-after']) >= 1)
  await eventually(() => busy.isClosed)
  const seen: string[] = []
  for (const connection of [...connections, idle]) {
    const reply = await connection.reply()
    assert.deepEqual([reply.status, reply.headers['connection']], [200, 'close'])
    seen.push(String(reply.headers['hotcakes-decision']).replace(/-\d+$/, ''))
    await eventually(() => connection.isClosed)
  }
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  const last = worker.messages.at(-1)
  assert.ok(last?.type === 'seen' && last.seen !== undefined, 'the last that it says is what it has answered')
  assert.ok(seen.includes(formatLogPosition(last.seen)))
})

/** undefined: the connection was closed as one that was idle, which it is after so long while a worker drains. */
async function ask(connection: RawConnection, path: string, idleMs: number): Promise<HttpReply | undefined> {
  try {
    await connection.send(requestText('POST', path))
    return await connection.reply()
  } catch (error) {
    if (idleMs < drainIdleMs) throw error
    return undefined
  }
}

test('drained under load, a worker leaves no request without its answer, and no decision without its client', async (t) => {
  const itemCount = 100_000
  // An interval of its own, and so a sale of its own.
  const worker = await startHttpWorker(t, redis, {
    env: { APP_SALE_INTERVAL_SECONDS: String(29 * 86_400), APP_ITEM_NUMBER: String(itemCount) },
  })
  const sale = await currentSale(worker)
  let answered = 0
  /** One request after the other, until the server says that the connection closes. */
  const client = async (connection: RawConnection, number: number): Promise<void> => {
    let sentMs = performance.now()
    for (let n = 0; ; n++) {
      const idleMs = performance.now() - sentMs
      sentMs += idleMs
      const path = checkoutPath(`u-${number}-${n}`, `${sale}-${number * 1_000 + n + 1}`)
      const reply = await ask(connection, path, idleMs)
      if (reply === undefined) return
      assert.equal(reply.status, 200, reply.text)
      answered += 1
      if (reply.headers['connection'] === 'close') return
    }
  }
  const connections = await Promise.all(Array.from({ length: 64 }, () => openConnection(t, worker.port)))
  const clients = Promise.all(connections.map(client))
  await eventually(() => answered > 1_000, { what: 'load' })
  worker.send({ type: 'drain' })
  await clients
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  const { counts } = await worker.store.snapshot(sale)
  assert.equal(counts.get(outcomes.held.code), answered)
})

test('a drained worker does not wait for silent connections', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const silent = await Promise.all(Array.from({ length: 5 }, () => openConnection(t, worker.port)))
  await eventually(async () => metricValue(await worker.metrics(), 'hotcakes_http_connections') === 5)
  worker.send({ type: 'drain' })
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  await eventually(() => silent.every(({ isClosed }) => isClosed))
})

/** A worker loses its primary: what one gets that comes then, and one whose request was accepted before. */
async function orphaned(scope: Scope, attemptsLeft = 4): Promise<Awaited<ReturnType<typeof askOrphan>>> {
  const worker = await startHttpWorker(scope, redis, { env })
  const sale = await currentSale(worker)
  const late = await openConnection(scope, worker.port)
  await late.send(requestText('GET', '/livez'))
  await late.reply()
  const { connections, decide } = await undecided(scope, worker, [newPath(sale)])
  const [accepted] = connections
  assert.ok(accepted !== undefined)
  const beganMs = performance.now()
  try {
    return await askOrphan(scope, worker, { late, path: newPath(sale), accepted, decide })
  } catch (error) {
    decide()
    // A worker gives it no longer than that: on a busy machine it may be over before all was asked.
    if (attemptsLeft === 0 || performance.now() - beganMs < orphanFinishMs) throw error
    return await orphaned(scope, attemptsLeft - 1)
  }
}

async function askOrphan(
  scope: Scope,
  worker: TestHttpWorker,
  asked: { late: RawConnection; path: string; accepted: RawConnection; decide: () => void },
) {
  const { late, path, accepted, decide } = asked
  worker.process.disconnect()
  await eventually(() => assert.rejects(openConnection(scope, worker.port), { code: 'ECONNREFUSED' }).then(() => true))
  await late.send(requestText('POST', path))
  const refused = await late.reply()
  decide()
  return { refused, answered: await accepted.reply(), exit: await worker.exited }
}

test('without its primary a worker turns new requests away, answers the accepted ones, and ends', async (t) => {
  const { refused, answered, exit } = await orphaned(t)
  assertProblem(refused, 503, 'shutting_down')
  assert.equal(refused.headers['connection'], 'close')
  assert.equal(answered.status, 200)
  assert.equal(exit.code, 1)
})

test('without its primary a worker ends even if Redis never answers', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const { decide } = await undecided(t, worker, [newPath(sale)])
  worker.process.disconnect()
  assert.equal((await worker.exited).code, 1)
  decide()
})

test('signals are left to the primary, which hears that the worker is alive', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  worker.process.kill('SIGTERM')
  worker.process.kill('SIGINT')
  const beats = () => worker.messages.filter(({ type }) => type === 'heartbeat').length
  const before = beats()
  await eventually(() => beats() >= before + 2)
  assert.equal((await worker.http.get('/livez')).status, 200)
})

test('a worker whose port is taken says so and ends', async (t) => {
  const port = await freePort()
  const other = createServer()
  t.after(() => void other.close())
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  const worker = await startHttpWorker(t, redis, { env, port, awaitReady: false })
  assert.equal((await worker.exited).code, 1)
  const failed = worker.messages.find((message) => message.type === 'failed')
  assert.equal(failed?.code, 'HC_PORT_IN_USE')
  assert.match(failed.message, new RegExp(`127\\.0\\.0\\.1:${port}`))
})

test('two workers share a port, and each answers for itself', async (t) => {
  const first = await startHttpWorker(t, redis, { env })
  const second = await startHttpWorker(t, redis, { env, port: first.port })
  const sale = await currentSale(first)
  const isShared = async () => {
    const connection = await openConnection(t, first.port)
    await connection.send(requestText('POST', newPath(sale)))
    assert.equal((await connection.reply()).status, 200)
    return (await checkoutsAnsweredBy(first)) > 0 && (await checkoutsAnsweredBy(second)) > 0
  }
  await eventually(isShared, { what: 'both workers to get a connection' })
})

test('a purchase whose answer was lost is answered the same when it is sent again', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const code = codeOf(await worker.http.post(newPath(sale)))
  const soldBefore = Number((await worker.http.get('/sale')).json?.['sold'])
  const { connections, decide } = await undecided(t, worker, [purchasePath(code)])
  connections[0]?.destroy()
  await eventually(
    async () => metricValue(await worker.metrics(), 'hotcakes_http_requests_total', { status: 499 }) === 1,
  )
  decide()
  const again = await worker.http.post(purchasePath(code))
  assert.deepEqual([again.status, again.json?.['status']], [200, 'purchased'])
  const { json } = await worker.http.get('/sale')
  assert.equal(json?.['sold'], soldBefore + 1)
  const metrics = await worker.metrics()
  for (const outcome of ['purchased', 'purchased_again']) {
    assert.equal(metricValue(metrics, 'hotcakes_outcomes_total', { outcome }), 1, outcome)
  }
})

test('readiness names Redis, its state, Postgres, the log and the sale', async (t) => {
  const worker = await startHttpWorker(t, redis, { env: { ...env, APP_LOG_BACKLOG_MAX: '100000' } })
  const json = await eventually(async () => {
    const { status, json: said } = await worker.http.get('/readyz')
    if (status !== 200 || said === undefined) return undefined // degraded sells
    const { workers } = said['checks'] as Record<string, Record<string, unknown>>
    // Where this process is late to answer as the primary, nothing is known of the workers.
    return workers?.['status'] === 'unknown' ? undefined : said
  })
  assert.equal(json['status'], 'degraded', 'there is no persister in this test')
  const checks = json['checks'] as Record<string, Record<string, unknown>>
  assert.deepEqual(
    Object.entries(checks).map(([name, check]) => [name, check['status']]),
    [
      ['server', 'serving'],
      ['redis', 'up'],
      ['record', 'sound'],
      ['postgres', 'unknown'],
      ['log', 'ok'],
      ['sale', 'open'],
      ['workers', 'complete'],
    ],
  )
  assert.deepEqual((await worker.http.get('/health')).json?.['status'], 'degraded')
  assert.deepEqual((await worker.http.get('/livez')).json, { status: 'live' })
})

test('a worker stops selling when the log has grown past its bound, and not a second later', async (t) => {
  const worker = await startHttpWorker(t, await startRedis(t), { env: { ...env, APP_LOG_BACKLOG_MAX: '100' } })
  const sale = await currentSale(worker)
  // One entry a request: each is answered before the next is sent.
  let decided = 0
  for (let n = 0; n < 130; n++) if ((await worker.http.post(newPath(sale))).status === 200) decided += 1
  // That the sale was opened is an entry as well.
  assert.ok(decided >= 100 && decided <= 105, `${decided} entries`)
  assertProblem(await worker.http.post(newPath(sale)), 503, 'backlog_full')
  const { status, json } = await worker.http.get('/readyz')
  const checks = json?.['checks'] as Record<string, { status?: string }> | undefined
  assert.deepEqual([status, checks?.['log']?.status], [503, 'backlog_full'])
})
