import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { Crowd } from './helpers/crowd.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkout } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { scrape } from './helpers/metrics.ts'
import { processTree, signal } from './helpers/processes.ts'
import { openPostgres } from './helpers/record.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

// Goal: two servers, as on two machines, are one shop. Each has its primary, its HTTP workers and its persister, and all
// that they share is a Redis and a Postgres.

const orderly = { code: 0, signal: null }

async function startBoth(scope: Scope, env: Record<string, string>) {
  const [redis, postgres] = await Promise.all([startRedis(scope), startPostgres(scope)])
  const services = { redis: redis.connection, db: postgres.connection }
  const options = { env: { ...servicesEnv(services), APP_WORKERS: '1', ...env } }
  const [one, other] = await Promise.all([startCluster(scope, options), startCluster(scope, options)])
  return { one, other, redis, db: services.db }
}

async function saleOf(cluster: Cluster): Promise<{ id: number; items: number; sold: number }> {
  const { json, text } = await cluster.http.get('/sale')
  assert.ok(typeof json?.['id'] === 'number', text)
  return json as { id: number; items: number; sold: number }
}

/** What a server says of its persister. */
async function persisterState(scope: Scope, cluster: Cluster): Promise<string | undefined> {
  const now = await scrape(new HttpClient(scope, { baseUrl: cluster.metricsUrl }))
  return ['active', 'standby', 'away'].find(
    (state) => now.value(`hotcakes_persister_state{state="${state}",shard="0"}`) === 1,
  )
}

function crowdAt(cluster: Cluster, sale: { id: number; items: number }, ledger: Ledger, seed: number): Crowd {
  return new Crowd({ http: cluster.http, ledger, sale, users: 200, seed })
}

test('two servers sell one sale to its end, and when one dies the other has all of its work within seconds', async (t) => {
  const items = 600
  const env = { APP_ITEM_NUMBER: String(items), APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_HOLD_SECONDS: '1' }
  const { one, other, db } = await startBoth(t, env)
  const sale = await saleOf(one)
  assert.deepEqual(await saleOf(other), sale)
  const ledger = new Ledger()
  const [atOne, atOther] = [crowdAt(one, sale, ledger, 1), crowdAt(other, sale, ledger, 2)]

  const half = async (cluster: Cluster) => (await saleOf(cluster)).sold >= items / 2
  let isHalfSold = false
  const firstHalf = Promise.all([atOne.run(8, () => isHalfSold), atOther.run(8, () => isHalfSold)])
  const active = await eventually(async () => {
    const states = await Promise.all([one, other].map((cluster) => persisterState(t, cluster)))
    const at = states.indexOf('active')
    return at !== -1 && states[1 - at] === 'standby' ? [one, other][at] : undefined
  })
  await eventually(() => half(one), { what: 'half of the sale' })
  isHalfSold = true
  await firstHalf

  // The machine with the active persister is gone, with all that ran on it.
  for (const pid of processTree(active.pid)) signal(pid, 'SIGKILL')
  const left = active === one ? other : one
  let isSold = false
  const buying = crowdAt(left, sale, ledger, 3).run(8, () => isSold)
  await eventually(async () => (await persisterState(t, left)) === 'active', { what: 'the other persister' })
  await eventually(async () => (await saleOf(left)).sold === items, { what: 'the end of the sale' })
  isSold = true
  await buying

  const audit = await runAuditJson(left.env)
  assert.equal(audit.verdict, 'passed')
  assert.equal(audit.sales.find(({ sale: id }) => id === sale.id)?.postgres.purchases, items)
  ledger.assertRecorded(openPostgres(t, db))
  assert.deepEqual(await left.stop(), orderly)
})

test('a Redis that restarts under two servers is admitted in one epoch, and both sell on', async (t) => {
  const { one, other, redis, db } = await startBoth(t, { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) })
  const { id } = await saleOf(one)
  const items = [one, other].map((cluster, n) => ({ cluster, before: `${id}-${n + 1}`, after: `${id}-${n + 11}` }))
  for (const { cluster, before } of items) assert.equal((await checkout(cluster, 'ann', before)).status, 200)
  await redis.stop()
  await redis.start()
  for (const { cluster, after } of items) {
    await eventually(async () => (await checkout(cluster, 'bob', after)).status === 200, { what: 'selling' })
    const isRefused = async () => {
      const { status, headers } = await checkout(cluster, 'cid', after)
      return status === 409 ? headers : undefined
    }
    // One worker was seen selling, and the other may take longer to come back.
    const headers = await eventually(isRefused, { what: 'a decision that is no hold' })
    assert.match(String(headers['hotcakes-decision']), /^2-/)
  }
  const postgres = openPostgres(t, db)
  assert.deepEqual(postgres.query('select epoch::int from log_epochs order by epoch'), [{ epoch: 1 }, { epoch: 2 }])
  assert.equal((await runAuditJson(one.env)).verdict, 'passed')
  assert.deepEqual(await Promise.all([one.stop(), other.stop()]), [orderly, orderly])
})

test('two servers open the next sale together, once', async (t) => {
  const { one, other, db } = await startBoth(t, { APP_SALE_INTERVAL_SECONDS: '4', APP_ITEM_NUMBER: '50' })
  const first = await saleOf(one)
  const ledger = new Ledger()
  for (const round of [1, 2]) {
    const now = await eventually(
      async () => {
        const sale = await saleOf(one)
        return sale.id >= first.id + round ? sale : undefined
      },
      { what: 'the next sale' },
    )
    const [atOne, atOther] = [one, other].map((cluster, n) => crowdAt(cluster, now, ledger, round * 2 + n))
    let isEnough = false
    const buying = Promise.all([atOne?.run(2, () => isEnough), atOther?.run(2, () => isEnough)])
    await eventually(async () => (await saleOf(other)).id > now.id, { what: 'the end of the sale at the other server' })
    isEnough = true
    await buying
  }
  assert.equal((await runAuditJson(one.env)).verdict, 'passed')
  ledger.assertRecorded(openPostgres(t, db))
  const ends = await Promise.all([one.stop(), other.stop()])
  assert.deepEqual(ends, [orderly, orderly])
})
