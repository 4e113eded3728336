import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { reloadProbeMsMax } from '../ops/limits.ts'
import { runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkoutPath, currentSale } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { isWhole, type Scrape, scrape } from './helpers/metrics.ts'
import type { Scope } from './helpers/scope.ts'

const thirtyDays = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
const reloadTool = fileURLToPath(new URL('../ops/tools/reload/main.js', import.meta.url))
async function startWhole(scope: Scope, env: Record<string, string> = thirtyDays) {
  const cluster = await startCluster(scope, { env })
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  const before = await eventually(async () => {
    const now = await scrape(metrics)
    return isWhole(now) ? now : undefined
  })
  return { cluster, metrics, before }
}

function reloads(now: Scrape, result: 'done' | 'failed'): number | undefined {
  return now.value(`hotcakes_reloads_total{result="${result}"}`)
}

/** A setting in the .env file of the folder that the cluster was started in. */
function writeSettings(cluster: Cluster, text: string): void {
  writeFileSync(join(dirname(cluster.dataDir), '.env'), text)
}

function runReload(
  env: Readonly<Record<string, string>>,
  onOutput?: (output: string) => void,
): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [reloadTool], { cwd: '/', env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      onOutput?.(output)
    })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, output }))
  })
}

test('a reload replaces every HTTP worker, and under load no request is refused or left unanswered', async (t) => {
  const { cluster, metrics, before } = await startWhole(t)
  const sale = await currentSale(cluster)
  const ledger = new Ledger()
  const over = new AbortController()

  async function buy(client: number): Promise<void> {
    const http = new HttpClient(t, { baseUrl: cluster.baseUrl, connections: 1 })
    for (let item = client; !over.signal.aborted; item += 24) {
      // A refused or a broken connection rejects here, and a 503 has no decision.
      ledger.answered('checkout', await http.post(checkoutPath(`user-${item}`, `${sale}-${(item % 10_000) + 1}`)))
    }
  }

  const clients = Promise.all(Array.from({ length: 24 }, (_, client) => buy(client + 1)))
  await eventually(() => ledger.requests > 200)
  process.kill(cluster.pid, 'SIGHUP')
  const after = await eventually(
    async () => {
      const now = await scrape(metrics)
      now.assertNoFall(before)
      return reloads(now, 'done') === 1 && isWhole(now) ? now : undefined
    },
    { what: 'the end of the reload' },
  )
  const answered = ledger.requests
  await eventually(() => ledger.requests > answered + 200)
  over.abort()
  await clients

  assert.equal(ledger.undecidedCount, 0, JSON.stringify([...ledger.undecided]))
  const old = before.pids('http')
  assert.deepEqual(
    after.pids('http').filter((pid) => old.includes(pid)),
    [],
  )
  assert.deepEqual(after.pids('persister'), before.pids('persister'))
  assert.equal(after.restarts('http'), 0, 'nobody died')
  const audit = await runAuditJson(cluster.env)
  assert.equal(audit.verdict, 'passed')
  assert.equal(audit.attempts, ledger.requests)
})

test('new workers have the settings of now; what takes a new start is named and stays', async (t) => {
  const { cluster } = await startWhole(t, { APP_SALE_INTERVAL_SECONDS: '6' })
  assert.equal((await cluster.http.get('/sale')).json?.['items'], 10_000)
  const large = { headers: { Cookie: 'x'.repeat(10_000) } }
  assert.equal((await cluster.http.get('/livez', large)).status, 431)
  writeSettings(cluster, 'APP_ITEM_NUMBER=7\nUWS_HTTP_MAX_HEADERS_SIZE=16384\nAPP_SHUTDOWN_SECONDS=29\n')
  process.kill(cluster.pid, 'SIGHUP')
  await eventually(async () => (await cluster.http.get('/sale')).json?.['items'] === 7, {
    what: 'a sale with the new number of items',
  })
  await eventually(async () => (await cluster.http.get('/livez', large)).status === 200, {
    what: 'a worker that takes larger headers',
  })
  assert.ok(
    cluster.logLines().some((line) => /take effect at the next start/.test(line) && /APP_SHUTDOWN_SECONDS/.test(line)),
  )
})

test('settings that are not allowed change nothing, and npm run reload says that it failed', async (t) => {
  const { cluster, metrics, before } = await startWhole(t)
  writeSettings(cluster, 'APP_ITEM_NUMBER=many\n')
  const { status, output } = await runReload(cluster.env)
  assert.equal(status, 1)
  assert.match(output, /^hotcakes reload: the reload failed: the log of the server says why$/m)
  assert.ok(cluster.logLines().some((line) => /HC_CONFIG/.test(line) && /APP_ITEM_NUMBER/.test(line)))
  // A worker that doesn't answer within a second is left out of a scrape.
  const after = await eventually(async () => {
    const now = await scrape(metrics)
    return isWhole(now) ? now : undefined
  })
  assert.deepEqual(new Set(after.pids('http')), new Set(before.pids('http')))

  writeSettings(cluster, '')
  const second = await runReload(cluster.env)
  assert.match(second.output, /^reloaded in [\d.]+ s$/m)
  assert.equal(second.status, 0)
})

test('npm run reload without a server says where it looked', async () => {
  const { status, output } = await runReload({ APP_METRICS_PORT: '1' })
  assert.deepEqual([status, output], [1, 'hotcakes reload: no server answers at http://localhost:1/metrics\n'])
})

test('npm run reload goes on waiting for a server that is too busy to answer it', async (t) => {
  const { cluster } = await startWhole(t)
  let isStopped = false
  const { status, output } = await runReload(cluster.env, () => {
    if (isStopped) return
    isStopped = true // it waits by now
    process.kill(cluster.pid, 'SIGSTOP')
    setTimeout(() => process.kill(cluster.pid, 'SIGCONT'), reloadProbeMsMax + 1_000)
  })
  assert.match(output, /^reloaded in /m)
  assert.equal(status, 0)
  assert.ok(isStopped)
})
