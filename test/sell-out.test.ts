import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { readFacts } from '../ops/embedded/facts.ts'
import { type AuditJson, breachesIn, runAudit } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { Crowd } from './helpers/crowd.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { Ledger } from './helpers/ledger.ts'
import { openPostgres } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'
import { servicesEnv, startChosenServices } from './helpers/services.ts'

const items = 10_000
const buyers = 200
/** Their limits together are 12,000 items, so at the end most of them are at their limit. */
const users = 1_200
const userLimit = 10
/** After everything is sold, so many more attempts are made. */
const lateAttempts = 5_000

// Goal: a whole sale is sold out over HTTP, exactly, and the record in Postgres is what the buyers were told.
// Method: the server as it comes, two workers and, unless an engine is chosen, embedded services. Every answer names its place in the log, so answers
// and rows are compared one by one, and not only by their numbers.

test(`200 buyers sell 10,000 items out, and the record is complete (SEED=${seed})`, async (t) => {
  const chosen = await startChosenServices(t)
  const cluster = await startCluster(t, {
    env: {
      ...(chosen && servicesEnv(chosen)),
      APP_ITEM_NUMBER: String(items),
      APP_USER_LIMIT: String(userLimit),
      APP_HOLD_SECONDS: '2', // forgotten codes give their items back within the test
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), // no new sale in the middle of the test
    },
  })
  const opened = (await cluster.http.get('/sale')).json
  assert.equal(opened?.['available'], items)
  const id = Number(opened['id'])
  const ledger = new Ledger()
  const http = new HttpClient(t, { baseUrl: cluster.baseUrl, connections: buyers })
  const crowd = new Crowd({ http, ledger, sale: { id, items }, users, seed })

  const startedMs = performance.now()
  await crowd.run(buyers, () => crowd.isSoldOut)
  const late = ledger.requests + lateAttempts
  await crowd.run(buyers, () => ledger.requests >= late)
  const seconds = (performance.now() - startedMs) / 1_000

  await eventually(async () => {
    const sale = (await cluster.http.get('/sale')).json // it may lag by a second
    assert.deepEqual([sale?.['sold'], sale?.['held'], sale?.['available']], [items, 0, 0])
    return true
  })
  assert.deepEqual([...ledger.undecided], [], 'every request was decided')
  const rejected = ['item_sold', 'item_held', 'user_limit_reached']
  for (const code of rejected) assert.ok(ledger.answers.has(code), `nobody was told ${code}`)

  const file = join(temporaryFolder(t), 'audit.json')
  const { status, stdout } = await runAudit(cluster.env, ['--out', file])
  const audit = JSON.parse(readFileSync(file, 'utf8')) as AuditJson
  assert.deepEqual(breachesIn(audit), {})
  assert.deepEqual([status, audit.verdict], [0, 'passed'])
  assert.equal(audit.attempts, ledger.requests)
  assert.equal(audit.sales[0]?.postgres.purchases, items)

  const db = chosen?.db ?? readFacts(cluster.dataDir).postgres?.connection
  assert.ok(db)
  const postgres = openPostgres(t, db)
  const rows = ledger.assertRecorded(postgres)
  assert.equal(rows.get('purchased'), items)
  assert.equal(total(rows), ledger.requests)
  const [most] = postgres.query<{ most: number }>(
    'select max(n)::int as most from (select count(*) as n from purchases group by sale_id, user_id) counts',
  )
  assert.equal(most?.most, userLimit)

  t.diagnostic(`${ledger.requests} requests in ${seconds.toFixed(1)} s (${Math.round(ledger.requests / seconds)}/s)`)
  t.diagnostic(`answers: ${shown(ledger.answers)}`)
  t.diagnostic(`rows in Postgres: ${total(rows)}: ${shown(rows)}; purchases: ${items}`)
  for (const line of stdout.split('\n')) t.diagnostic(line)
})

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

function shown(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
