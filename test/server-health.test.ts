// Goal: /readyz speaks for the server, whichever worker answers. Method: the real server, whose processes a test stops,
// kills and starves of Redis, asked over connections of its own, so that each worker gets some of them.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { checkoutPath, currentSale } from './helpers/items.ts'
import { onePid, scrape } from './helpers/metrics.ts'
import { isStopped } from './helpers/processes.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

interface Health {
  readonly httpStatus: number
  readonly status: unknown
  readonly checks: Record<string, Record<string, unknown>>
}

/** On a connection of its own. @throws when the worker that it leads to is dead, or the signal is aborted */
async function ask({ baseUrl }: { baseUrl: string }, signal?: AbortSignal): Promise<Health> {
  const response = await fetch(`${baseUrl}/readyz`, { headers: { connection: 'close' }, signal: signal ?? null })
  const { status, checks } = (await response.json()) as Omit<Health, 'httpStatus'>
  return { httpStatus: response.status, status, checks }
}

/** What a worker says that can: a stopped one takes its connections and answers none. */
async function probe(cluster: Cluster): Promise<Health> {
  const over = new AbortController()
  try {
    return await Promise.any(Array.from({ length: 16 }, () => ask(cluster, over.signal)))
  } finally {
    over.abort()
  }
}

async function httpPids(scope: Scope, { metricsUrl }: Cluster): Promise<number[]> {
  const metrics = new HttpClient(scope, { baseUrl: metricsUrl })
  return await eventually(async () => {
    const pids = (await scrape(metrics)).pids('http')
    return pids.length === 2 ? pids : undefined
  })
}

/** For what it survives one after the other. Whoever hangs for a moment is not replaced. */
const lasting = await startCluster({ after }, { env: { APP_HEARTBEAT_SECONDS: '60' } })

// At once: each waits most of the time, for a heartbeat that is missing or for a worker to come back.
describe('waits that need hardly any CPU', { concurrency: true }, () => {
  test('a worker that hangs makes the server not ready, and ready again when it was replaced', async (t) => {
    const cluster = await startCluster(t, { env: { APP_HEARTBEAT_SECONDS: '30' } })
    const victim = onePid(await httpPids(t, cluster))
    process.kill(victim, 'SIGSTOP')
    // On a busy machine the other one may be late once as well.
    const health = await eventually(async () => {
      const now = await probe(cluster)
      return now.checks['workers']?.['ready'] === 1 ? now : undefined
    })
    assert.ok(isStopped(victim), 'it was not replaced yet')
    assert.deepEqual([health.httpStatus, health.status], [503, 'not_ready'])
    assert.deepEqual(health.checks['workers'], { status: 'silent', ready: 1, of: 2 })
    await eventually(async () => (await probe(cluster)).status === 'ready', { what: 'its replacement' })
    assert.ok(!(await httpPids(t, cluster)).includes(victim))
  })

  test('after Redis was away, 200 from one worker means that any worker sells', async (t) => {
    const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
    const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
    const cluster = await startCluster(t, {
      env: { ...services, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '1000' },
    })
    const sale = await currentSale(cluster)
    let item = 0
    for (let n = 0; n < 2; n++) {
      await redis.stop()
      await eventually(async () => (await ask(cluster)).httpStatus === 503)
      await redis.start()
      // Where the primary is late to answer, 200 speaks for the worker that was asked alone, and says so.
      await eventually(async () => {
        const { httpStatus, checks } = await ask(cluster)
        return httpStatus === 200 && checks['workers']?.['status'] !== 'unknown'
      })
      for (let connection = 0; connection < 16; connection++) {
        item += 1
        const path = checkoutPath(`buyer-${item}`, `${sale}-${item}`)
        const reply = await fetch(`${cluster.baseUrl}${path}`, { method: 'POST', headers: { connection: 'close' } })
        assert.equal(reply.status, 200, await reply.text())
      }
    }
  })
})

test('while a dead worker is replaced the server sells on, and is at most degraded', async (t) => {
  const victim = onePid(await httpPids(t, lasting))
  process.kill(victim, 'SIGKILL')
  const refused: Health[] = []
  const isReplaced = async () => {
    const health = await probe(lasting)
    if (health.httpStatus !== 200) refused.push(health)
    return health.status === 'ready' && !(await httpPids(t, lasting)).includes(victim)
  }
  await eventually(isReplaced, { what: 'its replacement' })
  const isLate = ({ checks }: Health) => checks['workers']?.['status'] === 'silent' // the machine is busy
  assert.deepEqual(
    refused.filter((health) => !isLate(health)),
    [],
  )
})

test('a primary that hangs does not hang a probe, whose answer says that nothing is known of the others', async () => {
  process.kill(lasting.pid, 'SIGSTOP')
  try {
    const health = await probe(lasting)
    assert.deepEqual([health.httpStatus, health.status], [200, 'degraded'])
    assert.deepEqual(health.checks['workers'], { status: 'unknown' })
    assert.equal(health.checks['redis']?.['status'], 'up')
  } finally {
    process.kill(lasting.pid, 'SIGCONT')
  }
  await eventually(async () => (await probe(lasting)).status === 'ready')
})

test('a flood of probes is answered by few rounds', async (t) => {
  const redis = await startRedis(t)
  const worker = await startHttpWorker(t, redis)
  const probes = 2_000
  const replies = await Promise.all(Array.from({ length: probes }, () => worker.http.get('/readyz')))
  // On a busy machine a round may pass without the worker's word.
  assert.ok(replies.every(({ status, json }) => status === (json?.['status'] === 'not_ready' ? 503 : 200)))
  const questions = worker.messages.filter(({ type }) => type === 'probe').length
  const rounds = worker.messages.filter(({ type }) => type === 'health').length
  // 64 connections ask at once: each question serves all that wait.
  assert.ok(questions <= probes / 16, `${questions} questions`)
  assert.ok(rounds <= questions, `${rounds} rounds`)
})
