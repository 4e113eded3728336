// Goal: who has purchased reads it back at once, or is told that the record is behind.
// Method: a sale over three shards, so that three logs count. The persister is stopped (SIGSTOP) to keep the record behind.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, currentSale, hold, purchase } from './helpers/items.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const shards = 3
const [{ connection: db }, redis] = await Promise.all([startPostgres({ after }), startRedis({ after })])
newRecord({ after }, db, { shards })
const env = {
  ...servicesEnv({ db, redis: redis.connection }),
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '200',
  APP_USER_LIMIT: '100',
}
const worker = await startHttpWorker({ after }, redis, { env, shards })
const persister = await startPersister({ after }, { db, redis: redis.connection, shardCount: shards })
const { http } = worker
const sale = await currentSale(worker)
let sold = 0

/** The next item, so that the shards take turns. */
async function buy(user: string): Promise<{ item: string; code: string; decision: string }> {
  sold += 1
  const item = `${sale}-${sold}`
  const code = await hold(worker, user, item)
  const bought = await purchase(worker, code)
  assert.equal(bought.status, 200, bought.text)
  return { item, code, decision: String(bought.headers['hotcakes-decision']) }
}

function itemsOf({ status, json, text }: HttpReply): string[] {
  assert.equal(status, 200, text)
  const { purchases } = json as { purchases: { item_id: string }[] }
  return purchases.map(({ item_id: item }) => item)
}

async function recordWaiters(): Promise<number> {
  const metrics = await worker.metrics()
  const gauge = metrics.find(({ name }) => name === 'hotcakes_reads_waiting')
  return gauge?.values.find(({ labels }) => labels['source'] === 'record')?.value ?? 0
}

test('a purchase is in what its buyer reads next, fifty times', async () => {
  const bought: string[] = []
  for (let n = 0; n < 50; n++) {
    const { item, decision } = await buy('ann')
    bought.unshift(item)
    const path = `/users/ann/purchases?limit=100&wait=5000${n % 2 === 0 ? '' : `&decision=${decision}`}`
    const reply = await http.get(path)
    assert.deepEqual(itemsOf(reply), bought)
    assert.match(String(reply.headers['hotcakes-position']), /^1-\d+, 1:1-\d+, 2:1-\d+$/)
  }
})

test('a record that is behind is said to be, and who waits reads when it has caught up', async () => {
  process.kill(persister.pid, 'SIGSTOP')
  const { item, code, decision } = await buy('bob')
  for (const query of [`decision=${decision}`, `decision=${decision}&wait=50`, 'wait=50', 'wait=0']) {
    const reply = await http.get(`/users/bob/purchases?${query}`)
    assertProblem(reply, 503, 'record_behind')
    assert.ok(Number(reply.headers['retry-after']) >= 1)
  }
  assert.deepEqual(itemsOf(await http.get('/users/bob/purchases')), [])
  // Redis has it.
  const byCode = await http.get(`/purchases/${code}?wait=5000`)
  assert.deepEqual([byCode.status, byCode.json?.['item_id']], [200, item])
  const unknown = `/purchases/${sale}-1-${'A'.repeat(16)}`
  assertProblem(await http.get(`${unknown}?wait=50`), 503, 'record_behind')
  assertProblem(await http.get(unknown), 404, 'purchase_unknown')

  const waiting = http.get(`/users/bob/purchases?decision=${decision}&wait=5000`)
  await eventually(async () => (await recordWaiters()) === 1)
  process.kill(persister.pid, 'SIGCONT')
  assert.deepEqual(itemsOf(await waiting), [item])
  assertProblem(await http.get(`${unknown}?wait=5000`), 404, 'purchase_unknown')
})

test('what is malformed is refused by name', async () => {
  for (const path of ['/users/ann/purchases', `/purchases/${sale}-1-${'A'.repeat(16)}`]) {
    for (const query of ['wait=5001', 'wait=soon', 'decision=1-4711', `decision=${shards}:1-1-0`]) {
      const reply = await http.get(`${path}?${query}`)
      assertProblem(reply, 400, 'invalid_request')
      assert.match(String(reply.json?.['detail']), new RegExp(`^The parameter ${query.split('=')[0]} must be `))
    }
  }
})

test('a worker that goes answers those that wait', async () => {
  process.kill(persister.pid, 'SIGSTOP')
  const { decision } = await buy('cid')
  const waiting = http.get(`/users/cid/purchases?decision=${decision}&wait=5000`)
  await eventually(async () => (await recordWaiters()) === 1)
  worker.send({ type: 'drain' })
  assertProblem(await waiting, 503, 'record_behind')
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  process.kill(persister.pid, 'SIGCONT')
})
