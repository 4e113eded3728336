import assert from 'node:assert/strict'
import { test } from 'node:test'

import { crashBudgetDeaths } from '../core/limits.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { isWhole, onePid, type Scrape, scrape } from './helpers/metrics.ts'
import { isStopped, processTree, stillRunning } from './helpers/processes.ts'
import type { Scope } from './helpers/scope.ts'

/** Longer than a scrape and some checkouts take on a busy machine: meanwhile a stopped process must not be replaced. */
const heartbeatSeconds = 8

async function startWatched(scope: Scope, env: Record<string, string> = {}, workers = 2) {
  // No new sale in the middle of a test.
  const settings = { APP_HEARTBEAT_SECONDS: String(heartbeatSeconds), APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
  const cluster = await startCluster(scope, { env: { ...settings, ...env } })
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  const whole = await eventually(async () => {
    const now = await scrape(metrics)
    return isWhole(now, workers) ? now : undefined
  })
  return { cluster, metrics, whole }
}

/** Checks out so many items, one after the other, over fresh connections: those of a dead worker are dead. */
async function checkOut(scope: Scope, cluster: Cluster, from: number, count: number): Promise<void> {
  const http = new HttpClient(scope, { baseUrl: cluster.baseUrl })
  const sale = await currentSale({ http })
  for (let item = from; item < from + count; item++) {
    codeOf(await http.post(`/checkout?user_id=user-${item}&id=${sale}-${item}`))
  }
  http.close()
}

/** Scrapes until `isEnough`, and shows that no counter falls on the way. */
async function watch(metrics: HttpClient, from: Scrape, isEnough: (now: Scrape) => boolean): Promise<Scrape> {
  let last = from
  return await eventually(
    async () => {
      const now = await scrape(metrics)
      now.assertNoFall(last)
      last = now
      return isEnough(now) ? now : undefined
    },
    { what: 'the scrape that was waited for' },
  )
}

function rows(now: Scrape): number | undefined {
  return now.value('hotcakes_persisted_rows_total{table="checkout_attempts",shard="0"}')
}

function backlogEntries(now: Scrape): number {
  return now.value('hotcakes_log_backlog_entries{shard="0"}') ?? 0
}

const held = 'hotcakes_outcomes_total{operation="checkout",outcome="held"}'

test('a killed HTTP worker is replaced, what it counted stays counted, and sales go on', async (t) => {
  const { cluster, metrics, whole } = await startWatched(t)
  await checkOut(t, cluster, 1, 20)
  const before = await watch(metrics, whole, (now) => now.value(held) === 20 && isWhole(now))
  const victim = onePid(before.pids('http'))

  process.kill(victim, 'SIGKILL')
  const after = await watch(metrics, before, (now) => now.restarts('http') === 1 && isWhole(now))
  assert.ok(!after.pids('http').includes(victim))
  assert.equal(after.value(held), 20)

  await checkOut(t, cluster, 21, 20)
  await watch(metrics, after, (now) => now.value(held) === 40)
  assert.ok(cluster.logLines().some((line) => line.includes('a process died: SIGKILL')))
})

test('a stopped HTTP worker does not fail a scrape, which names it; then it is killed and replaced', async (t) => {
  const { cluster, metrics, whole } = await startWatched(t)
  await checkOut(t, cluster, 1, 20)
  const before = await watch(metrics, whole, (now) => now.value(held) === 20 && isWhole(now))
  const victim = onePid(before.pids('http'))

  process.kill(victim, 'SIGSTOP')
  // Another one that is late for a moment is named as well.
  const during = await watch(metrics, before, (now) => now.total('hotcakes_worker_unresponsive') === 1)
  assert.ok(isStopped(victim), 'the scrape did not wait for its end')
  const number = numberOf(before, victim)
  assert.equal(during.value(`hotcakes_worker_unresponsive{kind="http",number="${number}"}`), 1)
  assert.equal(during.value(held), 20)
  assert.ok(!during.pids('http').includes(victim), 'its gauges say nothing any more')

  const after = await watch(metrics, during, (now) => now.restarts('http') === 1 && isWhole(now))
  assert.equal(after.total('hotcakes_worker_unresponsive'), 0)
  assert.equal(numberOf(after, onePid(after.pids('http').filter((pid) => !before.pids('http').includes(pid)))), number)
  assert.equal(after.value(held), 20)
  assert.ok(cluster.logLines().some((line) => line.includes(`it was silent for ${heartbeatSeconds * 1_000} ms`)))
})

test('a persister that is killed, or stopped, is replaced, the log stays known, and all of it arrives', async (t) => {
  const { cluster, metrics, whole } = await startWatched(t)
  await checkOut(t, cluster, 1, 5)
  const killed = onePid(whole.pids('persister'))
  const recorded = await watch(metrics, whole, (now) => rows(now) === 5)

  process.kill(killed, 'SIGKILL')
  await checkOut(t, cluster, 6, 5)
  const replaced = await watch(
    metrics,
    recorded,
    (now) => now.restarts('persister') === 1 && rows(now) === 10 && isWhole(now),
  )

  const stopped = onePid(replaced.pids('persister'))
  process.kill(stopped, 'SIGSTOP')
  await checkOut(t, cluster, 11, 5)
  const during = await watch(metrics, replaced, (now) => backlogEntries(now) > 0) // told by Redis
  assert.ok(isStopped(stopped))
  assert.equal(during.value('hotcakes_worker_unresponsive{kind="persister",number="1"}'), 1)
  assert.equal(rows(during), 10)
  await watch(metrics, during, (now) => now.restarts('persister') === 2 && rows(now) === 15)
})

test('more deaths than the crash budget allows end the service in order, with the reason and status 1', async (t) => {
  const workers = crashBudgetDeaths + 1
  const { cluster, whole } = await startWatched(t, { APP_WORKERS: String(workers) }, workers)
  const pids = processTree(cluster.pid)
  for (const pid of whole.pids('http')) process.kill(pid, 'SIGKILL')
  assert.deepEqual(await cluster.exited, { code: 1, signal: null })
  assert.ok(cluster.logLines().some((line) => line.includes('HC_CRASH_BUDGET')))
  assert.ok(cluster.logLines().some((line) => line.includes('closed: the embedded services')))
  assert.deepEqual(stillRunning(pids), [])
})

/** The place that a worker has among its kind. */
function numberOf(now: Scrape, worker: number): string {
  const [series] = [...now.series].find(([key, pid]) => key.startsWith('hotcakes_process_pid{') && pid === worker) ?? []
  return /number="(\d+)"/.exec(series ?? '')?.[1] ?? assert.fail(`no process says that it is ${worker}`)
}
