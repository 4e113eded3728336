import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { crashBudgetDeaths } from '../core/limits.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { isWhole, onePid, type Scrape, scrape } from './helpers/metrics.ts'
import { childrenOf, isStopped, processTree, signal, stillRunning } from './helpers/processes.ts'
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

// One server for those that it survives: what is counted, and which items are taken, goes on from one to the next.
const survivor = await startWatched({ after })
let lastItem = 0

/** When all processes are there, and all that was decided is on record. */
function isAtRest(now: Scrape): boolean {
  return isWhole(now) && now.value(held) === lastItem && rows(now) === lastItem
}

async function checkOutMore(scope: Scope, count: number): Promise<void> {
  await checkOut(scope, survivor.cluster, lastItem + 1, count)
  lastItem += count
}

test('a killed HTTP worker is replaced, what it counted stays counted, and sales go on', async (t) => {
  const { cluster, metrics } = survivor
  await checkOutMore(t, 20)
  const before = await watch(metrics, survivor.whole, isAtRest)
  const restarts = before.restarts('http') ?? assert.fail()
  const victim = onePid(before.pids('http'))

  process.kill(victim, 'SIGKILL')
  const replaced = await watch(metrics, before, (now) => now.restarts('http') === restarts + 1 && isWhole(now))
  assert.ok(!replaced.pids('http').includes(victim))
  assert.equal(replaced.value(held), lastItem)

  await checkOutMore(t, 20)
  await watch(metrics, replaced, (now) => now.value(held) === lastItem)
  assert.ok(cluster.logLines().some((line) => line.includes('a process died: SIGKILL')))
})

test('a stopped HTTP worker does not fail a scrape, which names it; then it is killed and replaced', async (t) => {
  const { cluster, metrics } = survivor
  await checkOutMore(t, 20)
  const before = await watch(metrics, survivor.whole, isAtRest)
  const restarts = before.restarts('http') ?? assert.fail()
  const victim = onePid(before.pids('http'))

  process.kill(victim, 'SIGSTOP')
  // Another one that is late for a moment is named as well.
  const during = await watch(metrics, before, (now) => now.total('hotcakes_worker_unresponsive') === 1)
  assert.ok(isStopped(victim), 'the scrape did not wait for its end')
  const number = numberOf(before, victim)
  assert.equal(during.value(`hotcakes_worker_unresponsive{kind="http",number="${number}"}`), 1)
  assert.equal(during.value(held), lastItem)
  assert.ok(!during.pids('http').includes(victim), 'its gauges say nothing any more')

  const replaced = await watch(metrics, during, (now) => now.restarts('http') === restarts + 1 && isWhole(now))
  assert.equal(replaced.total('hotcakes_worker_unresponsive'), 0)
  assert.equal(
    numberOf(replaced, onePid(replaced.pids('http').filter((pid) => !before.pids('http').includes(pid)))),
    number,
  )
  assert.equal(replaced.value(held), lastItem)
  assert.ok(cluster.logLines().some((line) => line.includes(`it was silent for ${heartbeatSeconds * 1_000} ms`)))
})

test('a persister that is killed, or stopped, is replaced, the log stays known, and all of it arrives', async (t) => {
  const { metrics } = survivor
  await checkOutMore(t, 5)
  const recorded = await watch(metrics, survivor.whole, isAtRest)
  const restarts = recorded.restarts('persister') ?? assert.fail()

  process.kill(onePid(recorded.pids('persister')), 'SIGKILL')
  await checkOutMore(t, 5)
  const replaced = await watch(metrics, recorded, (now) => {
    return now.restarts('persister') === restarts + 1 && rows(now) === lastItem && isWhole(now)
  })

  const stopped = onePid(replaced.pids('persister'))
  process.kill(stopped, 'SIGSTOP')
  await checkOutMore(t, 5)
  const during = await watch(metrics, replaced, (now) => backlogEntries(now) > 0) // told by Redis
  assert.ok(isStopped(stopped))
  assert.equal(during.value('hotcakes_worker_unresponsive{kind="persister",number="1"}'), 1)
  assert.equal(rows(during), lastItem - 5)
  const hasAll = (now: Scrape) => now.restarts('persister') === restarts + 2 && rows(now) === lastItem
  await watch(metrics, during, hasAll)
})

test('more deaths than the crash budget allows end the service in order, with the reason and status 1', async (t) => {
  // Half of them are those that work, the others come in their place and die before they work, which counts as much.
  const workers = Math.ceil((crashBudgetDeaths + 1) / 2)
  const { cluster } = await startWatched(t, { APP_WORKERS: String(workers) }, workers)
  const pids = new Set(processTree(cluster.pid))
  const killed = new Set<number>()
  await eventually(() => {
    for (const pid of childrenOf(cluster.pid, /worker\/main\.js/)) {
      if (killed.size > crashBudgetDeaths || killed.has(pid)) continue
      killed.add(pid)
      signal(pid, 'SIGKILL')
    }
    return killed.size > crashBudgetDeaths
  })
  assert.deepEqual(await cluster.exited, { code: 1, signal: null })
  assert.ok(cluster.logLines().some((line) => line.includes('HC_CRASH_BUDGET')))
  assert.ok(cluster.logLines().some((line) => line.includes('closed: the embedded services')))
  assert.deepEqual(stillRunning([...pids, ...killed]), [])
})

/** The place that a worker has among its kind. */
function numberOf(now: Scrape, worker: number): string {
  const [series] = [...now.series].find(([key, pid]) => key.startsWith('hotcakes_process_pid{') && pid === worker) ?? []
  return /number="(\d+)"/.exec(series ?? '')?.[1] ?? assert.fail(`no process says that it is ${worker}`)
}
