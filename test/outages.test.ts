import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'

import { batchesInFlightMax } from '../core/limits.ts'
import { type EmbeddedPostgres, readFacts } from '../ops/embedded/facts.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { Crowd } from './helpers/crowd.ts'
import { eventually } from './helpers/eventually.ts'
import { Ledger } from './helpers/ledger.ts'
import { openPostgres } from './helpers/record.ts'
import { createFolder, removeFolder, type Scope } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

// Goal: what buyers were told outlives an outage of Postgres, of Redis, and of the server itself.
// Method: the real server under load. After the outage every answer is
// compared with its row, and the audit compares Redis with Postgres.

const items = 100_000
const buyers = 16
/** While something is away for seconds: all that more of them ask by then proves no more. */
const patientBuyers = 4
/** Of theirs, between two attempts. */
const thinkMs = 5

const saleEnv = {
  APP_ITEM_NUMBER: String(items),
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), // no new sale in the middle of a test
}

/** A server with a Redis and a Postgres that a test can take away. */
async function startOnServices(scope: Scope, settings: Readonly<Record<string, string>> = {}) {
  const redis = await startRedis(scope)
  const postgres = await startPostgres(scope, { durable: true })
  const env = { ...saleEnv, ...settings, ...servicesEnv({ db: postgres.connection, redis: redis.connection }) }
  return { redis, postgres, cluster: await startCluster(scope, { env }), ledger: new Ledger() }
}

/** Starts the server with its embedded services, each time on the same data. */
function embeddedStarter(t: TestContext): () => Promise<Cluster> {
  const folder = createFolder()
  const clusters: Cluster[] = []
  t.after(async () => {
    for (const cluster of clusters) await cluster.stop()
    removeFolder(folder)
  })
  return async () => {
    const cluster = await startCluster(t, { env: saleEnv, dataDir: join(folder, 'data') })
    clusters.push(cluster)
    return cluster
  }
}

async function saleOf({ http }: Cluster): Promise<{ id: number; items: number; sold: number }> {
  const { status, json, text } = await http.get('/sale')
  assert.equal(status, 200, text)
  return json as { id: number; items: number; sold: number }
}

/** Buyers at work until they are stopped; `stop` waits for them. */
function startSelling(
  cluster: Cluster,
  ledger: Ledger,
  { id, arePatient = false }: { id: number; arePatient?: boolean },
) {
  const options = { http: cluster.http, ledger, sale: { id, items }, users: items, seed }
  const crowd = new Crowd(arePatient ? { ...options, thinkMs } : options)
  const state = { isEnough: false }
  const running = crowd.run(arePatient ? patientBuyers : buyers, () => state.isEnough)
  const stop = async () => {
    state.isEnough = true
    await running
  }
  return { crowd, stop }
}

/** Some hundred more decided attempts. */
async function untilMoreIsDecided(ledger: Ledger): Promise<void> {
  const enough = ledger.decided.size + 500
  await eventually(() => ledger.decided.size >= enough, { what: '500 more decisions' })
}

function untilPassed(ms: number): Promise<unknown> {
  const endMs = performance.now() + ms
  return eventually(() => performance.now() >= endMs)
}

async function assertRecorded(t: TestContext, ledger: Ledger, options: { cluster: Cluster; db?: EmbeddedPostgres }) {
  const { cluster, db = readFacts(cluster.dataDir).postgres?.connection } = options
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual(breachesIn(audit), {})
  assert.equal(audit.verdict, 'passed', audit.not_checked.join())
  assert.ok(db)
  const rows = ledger.assertRecorded(openPostgres(t, db))
  const undecided = [...ledger.undecided].map(([code, count]) => `, ${code} ${count}`).join('')
  t.diagnostic(`${ledger.requests} requests: decided ${ledger.decided.size}${undecided}; rows ${audit.attempts}`)
  assert.ok((rows.get('purchased') ?? 0) > 0)
}

/** Of the next two tests, the second of which ends it. */
const shop = await startOnServices({ after })

test(`Postgres is away for 10 seconds: sales go on, and everything arrives (SEED=${seed})`, async (t) => {
  const { cluster, ledger, postgres } = shop
  const { id } = await saleOf(cluster)
  const selling = startSelling(cluster, ledger, { id, arePatient: true })
  await untilMoreIsDecided(ledger)

  await postgres.stop()
  const decidedBefore = ledger.decided.size
  await Promise.all([untilPassed(10_000), untilMoreIsDecided(ledger)])
  const decidedMeanwhile = ledger.decided.size - decidedBefore
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual([audit.status, audit.fault?.code], [3, 'HC_POSTGRES_UNAVAILABLE'])
  await postgres.start()

  await untilMoreIsDecided(ledger)
  await selling.stop()
  t.diagnostic(`${decidedMeanwhile} attempts were decided without Postgres`)
  assert.ok(decidedMeanwhile >= 500)
  assert.deepEqual([...ledger.undecided], [], 'nobody was turned away')
  await assertRecorded(t, ledger, { cluster, db: postgres.connection })
  assert.equal((await saleOf(cluster)).sold, selling.crowd.sold.size)
})

test(`Redis is killed and away for 5 seconds: 503 until it is back, and nothing is lost (SEED=${seed})`, async (t) => {
  const { cluster, ledger, postgres, redis } = shop
  const { id } = await saleOf(cluster)
  const selling = startSelling(cluster, ledger, { id, arePatient: true })
  await untilMoreIsDecided(ledger)

  process.kill(redis.pid(), 'SIGKILL')
  await eventually(async () => (await cluster.http.get('/readyz')).status === 503, { what: 'not ready' })
  const decidedBefore = ledger.decided.size
  const turnedAwayBefore = ledger.undecidedCount
  await untilPassed(5_000)
  const late = ledger.decided.size - decidedBefore
  assert.ok(late <= patientBuyers, `${late} decisions without Redis`) // answers may have been on their way to each buyer
  assert.ok(ledger.undecidedCount > turnedAwayBefore)
  await redis.start()

  await untilMoreIsDecided(ledger)
  await selling.stop()
  // overloaded: a call was out when Redis died; recovering: the new run was not compared with Postgres yet.
  const reasons = new Set([...ledger.undecided.keys(), 'overloaded', 'recovering'])
  assert.deepEqual([...reasons].toSorted(), ['overloaded', 'recovering', 'unavailable'])
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200, { what: 'ready again' })
  await assertRecorded(t, ledger, { cluster, db: postgres.connection })
  assert.equal((await saleOf(cluster)).id, id)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test(`Postgres stays away: selling stops at the log's bound and goes on by itself (SEED=${seed})`, async (t) => {
  const backlogMax = 300
  const { cluster, ledger, postgres } = await startOnServices(t, { APP_LOG_BACKLOG_MAX: String(backlogMax) })
  const selling = startSelling(cluster, ledger, await saleOf(cluster))
  await untilMoreIsDecided(ledger)

  await postgres.stop()
  const backlog = async () => {
    const { status, json } = await cluster.http.get('/readyz')
    const checks = json?.['checks'] as { log: { status: string; backlog_entries: number } } | undefined
    return status === 503 && checks?.log.status === 'backlog_full' ? checks.log.backlog_entries : undefined
  }
  const entries = await eventually(backlog, { what: 'a full log' })
  const reply = await eventually(async () => {
    const shed = await cluster.http.post(`/checkout?user_id=late&id=1-1`)
    return shed.status === 503 ? shed : undefined
  })
  assert.equal(reply.json?.['code'], 'backlog_full')
  assert.ok(Number(reply.headers['retry-after']) >= 1)
  assert.equal((await saleOf(cluster)).items, items, 'what only reads goes on')
  t.diagnostic(`it stopped with ${entries} entries`)
  // Each of two workers may have had its calls out when the log was full, and as many while it asked whether it was.
  assert.ok(entries > backlogMax && entries <= backlogMax + 2 * 2 * (batchesInFlightMax + 1), `${entries} entries`)

  await postgres.start()
  await untilMoreIsDecided(ledger)
  await selling.stop()
  assert.ok((ledger.undecided.get('backlog_full') ?? 0) > 0)
  await assertRecorded(t, ledger, { cluster, db: postgres.connection })
  const said = (text: string) => cluster.logLines().filter((line) => line.includes(text)).length
  // Each worker looks once a second.
  await eventually(() => assert.equal(said('selling stops'), said('selling goes on')) === undefined)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test(`stopped under load, then killed, and started again each time, the server loses nothing that it has answered (SEED=${seed})`, async (t) => {
  const startOnData = embeddedStarter(t)
  const ledger = new Ledger()
  const first = await startOnData()
  const before = await saleOf(first)
  const held = await first.http.post(`/checkout?user_id=patient&id=${before.id}-${items}`)
  assert.ok(ledger.answered('checkout', held))
  const selling = startSelling(first, ledger, before)
  await untilMoreIsDecided(ledger)
  assert.deepEqual(await first.stop(), { code: 0, signal: null })
  await selling.stop()
  const sold = selling.crowd.sold.size

  const second = await startOnData()
  const sale = await saleOf(second)
  assert.deepEqual([sale.id, sale.items], [before.id, items], 'the same sale goes on')
  assert.ok(sale.sold >= sold, `${sale.sold} sold, of which buyers know ${sold}`)
  const purchased = await second.http.post(`/purchase?code=${String(held.json?.['code'])}`)
  assert.ok(ledger.answered('purchase', purchased))
  assert.equal(purchased.status, 200, purchased.text)
  const more = startSelling(second, ledger, sale)
  await untilMoreIsDecided(ledger)
  await more.stop()
  await assertRecorded(t, ledger, { cluster: second })

  const again = startSelling(second, ledger, sale)
  await untilMoreIsDecided(ledger)
  process.kill(second.pid, 'SIGKILL')
  await second.exited
  await again.stop()

  const third = await startOnData()
  assert.equal((await saleOf(third)).id, before.id)
  const last = startSelling(third, ledger, sale)
  await untilMoreIsDecided(ledger)
  await last.stop()
  await assertRecorded(t, ledger, { cluster: third })
  assert.deepEqual(await third.stop(), { code: 0, signal: null })
})
