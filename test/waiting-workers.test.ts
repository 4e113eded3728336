// Goal: a worker that only waits for Redis is left to wait, says so, costs the crash budget nothing, and ends when it is
// told to. Method: the real supervisor and real HTTP workers, with a bound for starts that a test can outwait.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { loadConfig } from '../core/config/load.ts'
import type { Fault } from '../core/faults.ts'
import { freePort } from '../core/free-port.ts'
import { childStartMsMax } from '../core/limits.ts'
import { createLog } from '../core/log.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import type { Child } from '../server/primary/child.ts'
import { Supervisor } from '../server/primary/supervisor.ts'
import { admitRun } from './helpers/admit-run.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkout, currentSale } from './helpers/items.ts'
import type { Scope } from './helpers/scope.ts'
import { commandTimeoutMs, startRedis, type TestRedis } from './helpers/services.ts'

const program = fileURLToPath(new URL('../server/worker/main.js', import.meta.url))
const noAbort = new AbortController().signal
/** Above what a process takes to load its code on a busy machine, below a test's patience. */
const startMsMax = 30_000

async function supervise(scope: Scope, redis: TestRedis) {
  const { host, port: redisPort, user, password } = redis.connection
  const port = await freePort()
  const config = loadConfig({
    env: {
      APP_HOST: '127.0.0.1',
      APP_PORT: String(port),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      REDIS_HOST: host,
      REDIS_PORT: String(redisPort),
      REDIS_USER: user,
      REDIS_PASSWORD: password,
      LOG_LEVEL: 'silent',
    },
  })
  const store = new SaleStore(redis.admin, { shard: firstShard, name: 'test', commandTimeoutMs })
  scope.after(() => store.close())
  await store.connect()
  await store.claimEpoch(1)
  const told = { gone: [] as Child[], faults: [] as Fault[] }
  const supervisor = new Supervisor({
    config,
    executables: { http: program, persister: program },
    log: createLog({ level: 'silent', process: 'test' }),
    startMsMax,
    onBudgetSpent: (fault) => told.faults.push(fault),
  })
  scope.after(async () => {
    await supervisor.kill('the test is over')
    supervisor.close()
  })
  supervisor.start('http', 2)
  await supervisor.allReady(noAbort, childStartMsMax)
  // Only now: on a busy machine one may have taken too long to start, and was replaced.
  supervisor.onGone((child) => told.gone.push(child))
  return { supervisor, told, store, http: new HttpClient(scope, { baseUrl: `http://127.0.0.1:${port}` }) }
}

/** The one that starts, when it has said what it waits for. */
async function waiting(supervisor: Supervisor): Promise<Child> {
  const [child] = await eventually(() => {
    const starting = supervisor.staying('http').filter(({ waitsFor }) => waitsFor !== undefined)
    return starting.length === 1 ? starting : undefined
  })
  assert.ok(child !== undefined)
  assert.match(child.waitsFor ?? '', /^Redis at 127\.0\.0\.1:\d+$/)
  return child
}

/** One of two workers dies while Redis is away: its replacement, which waits. */
async function replacedWithoutRedis(supervisor: Supervisor, redis: TestRedis) {
  await redis.stop()
  const [victim, other] = supervisor.ready('http')
  process.kill(victim?.pid ?? assert.fail(), 'SIGKILL')
  return { victim, other, replacement: await waiting(supervisor) }
}

/** Waits longer than any start may last, and than a process takes to be killed for it on a busy machine. */
async function outwait(): Promise<void> {
  await delay(startMsMax + 10_000)
}

// At once: each waits for bounds to pass, on services of its own, and needs hardly any CPU meanwhile.
describe('workers that wait', { concurrency: true }, () => {
  test('a worker that dies while Redis is away is replaced by one that waits for it, however long, and then sells', async (t) => {
    const redis = await startRedis(t)
    const { supervisor, told, store, http } = await supervise(t, redis)
    const sale = await currentSale({ http })
    const { victim, other, replacement } = await replacedWithoutRedis(supervisor, redis)
    await outwait()
    assert.deepEqual(told.gone, [victim], 'nobody else has ended')
    assert.equal(supervisor.count('http', 'starting'), 1)

    await redis.start()
    await admitRun(store)
    await supervisor.allReady(noAbort, childStartMsMax)
    assert.deepEqual(supervisor.ready('http'), [other, replacement])
    assert.equal(replacement.waitsFor, undefined)
    await eventually(async () => (await checkout({ http }, 'ann', `${sale}-1`)).status === 200)
    assert.deepEqual([told.gone, told.faults], [[victim], []])
  })

  test('a worker that says nothing at its start is still killed, and so is one that stops saying that it waits', async (t) => {
    const redis = await startRedis(t)
    const { supervisor, told } = await supervise(t, redis)
    const { replacement } = await replacedWithoutRedis(supervisor, redis)
    process.kill(replacement.pid, 'SIGSTOP')
    await eventually(() => told.gone.includes(replacement))
    assert.match(replacement.end, /^SIGKILL: it was not ready after \d+ ms: it waits for Redis at /)
  })

  test('a worker that waits for Redis ends at once when it is told to', async (t) => {
    const redis = await startRedis(t)
    const { supervisor, told } = await supervise(t, redis)
    const { replacement } = await replacedWithoutRedis(supervisor, redis)
    assert.deepEqual(await supervisor.drain('http'), [])
    assert.ok(told.gone.includes(replacement) && replacement.isCleanExit)
  })

  test('a start that is bounded says what the workers wait for', async (t) => {
    const redis = await startRedis(t)
    const { supervisor } = await supervise(t, redis)
    await redis.stop()
    process.kill(supervisor.ready('http')[0]?.pid ?? assert.fail(), 'SIGKILL')
    await waiting(supervisor)
    await assert.rejects(supervisor.allReady(noAbort, 1), {
      code: 'HC_START_TIMEOUT',
      message: /^not ready after 1 ms: http \(one waits for Redis at 127\.0\.0\.1:\d+; its last one ended: SIGKILL\)$/,
    })
  })

  test('in a reload while Redis is away the successor is given up in order, and the old one goes on', async (t) => {
    const redis = await startRedis(t)
    const { supervisor, told, store } = await supervise(t, redis)
    await redis.stop()
    const before = supervisor.ready('http')
    const [old] = before
    assert.ok(old !== undefined)
    assert.equal(await supervisor.supersede(old), false)
    await eventually(() => told.gone.length === 1)
    assert.ok(told.gone[0]?.isCleanExit, 'it may have had connections: it was not killed')
    assert.deepEqual(supervisor.ready('http'), before)
    assert.deepEqual([told.faults, supervisor.wanted('http')], [[], 2])

    await redis.start()
    await admitRun(store)
    assert.equal(await supervisor.supersede(old), true)
  })
})
