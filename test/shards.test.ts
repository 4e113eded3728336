// Goal: a sale over three shards sells like a sale in one: no buyer gets more than the limit, and each gets exactly as much,
// wherever the items are; and what is read of it is the sum of what the shards have.
// Method: HTTP workers with three shards, all on one real Redis, and buyers who want more than they may have, all at once.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { SaleStore } from '../core/redis/sale-store.ts'
import { decodeUserEntry } from '../core/redis/user-entry.ts'
import { baseRights, homeShard } from '../core/rights.ts'
import { shardNumbers, shardOf } from '../core/shards.ts'
import { admitRun } from './helpers/admit-run.ts'
import { BoardView } from './helpers/board.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const shards = 3
const items = 600
// Long, so that no boundary falls into a run; different ones have sales of their own in the same Redis.
const intervalDays = 30
const redis = await startRedis({ after })

function settings(limit: number, days: number): Record<string, string> {
  return {
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: String(limit),
    APP_HOLD_SECONDS: '600',
    APP_SALE_INTERVAL_SECONDS: String(days * 86_400),
  }
}

/** Checkouts of all these items by the user, all at once. Gives the codes. */
async function grab(workers: readonly TestHttpWorker[], user: string, ids: readonly string[]): Promise<string[]> {
  const replies = await Promise.all(
    ids.map((id, n) => checkout(workers[n % workers.length] as TestHttpWorker, user, id)),
  )
  for (const reply of replies) {
    if (reply.status !== 200) {
      assert.match(String(reply.json?.['code']), /^(?:item_held|user_limit_reached)$/, reply.text)
      assert.equal(reply.status, 409)
    }
    assertDecisionOf(reply)
  }
  return replies.filter(({ status }) => status === 200).map(codeOf)
}

/** The header names the shard, unless it is the first one. */
function assertDecisionOf(reply: HttpReply, shard?: number): void {
  const match = /^(?:([1-9]\d*):)?\d+-\d+-\d+$/.exec(String(reply.headers['hotcakes-decision']))
  assert.ok(match, String(reply.headers['hotcakes-decision']))
  if (shard !== undefined) assert.equal(Number(match[1] ?? 0), shard)
}

function itemsOf(json: HttpReply['json']): { index: number; state: string }[] {
  return (json?.['items'] ?? []) as { index: number; state: string }[]
}

/** In every shard nobody uses more rights than are there, and over all shards they add up to the limit. */
async function assertRights(worker: TestHttpWorker, sale: number, limit: number): Promise<void> {
  const used = new Map<string, number>()
  const rights = new Map<string, number>()
  for (const store of worker.stores) {
    const { users, terms, nowMs } = await store.snapshot(sale)
    assert.ok(terms)
    for (const [user, entry] of users) {
      const decoded = decodeUserEntry(entry, terms.opensAtMs, shards)
      assert.ok(decoded)
      const base = baseRights({ limit, shards, shard: store.shard, home: homeShard(user, shards) })
      const moved = decoded.rights.reduce((sum, { lent, got }) => sum + got - lent, 0)
      const usedHere = decoded.purchases + decoded.holdsExpireAtMs.filter((at) => at > nowMs).length
      assert.ok(usedHere <= base + moved, `${user} at shard ${store.shard}: ${usedHere} of ${base + moved}`)
      used.set(user, (used.get(user) ?? 0) + usedHere)
      rights.set(user, (rights.get(user) ?? 0) + moved)
    }
  }
  for (const [user, count] of used) assert.ok(count <= limit, `${user} has ${count}`)
  // At rest nothing is under way: what was lent has arrived, or never will.
  for (const [user, moved] of rights) assert.ok(moved <= 0, `${user} has ${moved} rights more than the limit`)
}

for (const [place, limit] of [1, 3, 10].entries()) {
  test(`with a limit of ${limit} every buyer gets ${limit}, of whichever shards, and no more`, async (t) => {
    const env = settings(limit, intervalDays - place)
    const worker = await startHttpWorker(t, redis, { env, shards })
    const sale = await currentSale(worker)
    const users = Array.from({ length: 12 }, (_, n) => `greedy-${limit}-${n}`)
    // The items of a buyer are nobody else's: whoever is refused has as many as one may have.
    const codes = await Promise.all(
      users.map(async (user, n) => {
        const ids = Array.from({ length: 3 * limit + 6 }, (_, at) => `${sale}-${n * 36 + at + 1}`)
        const held = await grab([worker], user, ids)
        assert.equal(held.length, limit, user)
        return held
      }),
    )
    await assertRights(worker, sale, limit)
    for (const [n, user] of users.entries()) {
      for (const index of [597, 598, 599]) {
        const reply = await checkout(worker, user, `${sale}-${index + (n % 2)}`)
        assertProblem(reply, 409, 'user_limit_reached')
        assertDecisionOf(reply, shardOf(index + (n % 2), shards))
      }
    }
    for (const code of codes.flat()) assert.equal((await purchase(worker, code)).status, 200)
    const { json } = await worker.http.get('/sale')
    assert.deepEqual([json?.['sold'], json?.['held'], json?.['items']], [users.length * limit, 0, items])
    assert.equal(json?.['missing_shards'], undefined)
    const metrics = await worker.metrics()
    assert.ok(metricValue(metrics, 'hotcakes_rights_rounds_total', { result: 'refused' }) > 0)
    assert.equal(metricValue(metrics, 'hotcakes_rights_rounds_total', { result: 'failed' }), 0)
    assert.equal(metricValue(metrics, 'hotcakes_rights_waiting'), 0)
    assert.equal(metricValue(metrics, 'hotcakes_outcomes_total', { outcome: 'held' }), users.length * limit)
    const exact = users.length * (3 * limit + 6) - users.length * limit + 3 * users.length
    assert.equal(metricValue(metrics, 'hotcakes_outcomes_total', { outcome: 'user_limit_reached' }), exact)
  })
}

test('whatever shard the items of one buyer are in, all of his rights get there', async (t) => {
  const limit = 4
  const worker = await startHttpWorker(t, redis, { env: settings(limit, intervalDays - 10), shards })
  const sale = await currentSale(worker)
  for (const shard of shardNumbers(shards)) {
    const user = `settled-${shard}`
    const indexes = Array.from({ length: limit + 1 }, (_, n) => (n + 1) * shards + shard + 1 + shard * 60)
    const codes: string[] = []
    for (const index of indexes.slice(0, limit)) {
      const reply = await checkout(worker, user, `${sale}-${index}`)
      assertDecisionOf(reply, shardOf(index, shards))
      codes.push(codeOf(reply))
    }
    assertProblem(await checkout(worker, user, `${sale}-${indexes[limit]}`), 409, 'user_limit_reached')
    const again = await checkout(worker, user, `${sale}-${indexes[0]}`)
    assert.equal(codeOf(again), codes[0], 'the same code again')
    for (const code of codes) assert.equal((await purchase(worker, code)).json?.['user_id'], user)
  }
  await assertRights(worker, sale, limit)
})

test('two workers that search for rights of the same buyers give nobody too much, and in the end everybody enough', async (t) => {
  const limit = 3
  const env = settings(limit, intervalDays - 11)
  const workers = [
    await startHttpWorker(t, redis, { env, shards }),
    await startHttpWorker(t, redis, { env, shards }),
  ] as const
  const sale = await currentSale(workers[0])
  const users = Array.from({ length: 10 }, (_, n) => `torn-${n}`)
  const ids = Array.from({ length: 40 }, (_, n) => `${sale}-${n + 1}`)
  const held = await Promise.all(users.map((user) => grab(workers, user, ids)))
  await assertRights(workers[0], sale, limit)
  const total = held.reduce((sum, codes) => sum + codes.length, 0)
  assert.ok(total > 0 && held.every((codes) => codes.length <= limit))
  // Whoever was turned away while the other worker moved his rights gets the rest now.
  for (const [n, user] of users.entries()) {
    for (let count = held[n]?.length ?? 0; count < limit; count++)
      await hold(workers[count % 2] as TestHttpWorker, user, `${sale}-${100 + n * 10 + count}`)
    assertProblem(await checkout(workers[0], user, `${sale}-${100 + n * 10 + 9}`), 409, 'user_limit_reached')
  }
  await assertRights(workers[0], sale, limit)
  const { json } = await workers[1].http.get('/sale')
  assert.deepEqual([json?.['held'], json?.['available']], [users.length * limit, items - users.length * limit])
})

test('items, their pages and the counts of a sale are put together from all shards', async (t) => {
  const worker = await startHttpWorker(t, redis, { env: settings(items, intervalDays - 12), shards })
  const sale = await currentSale(worker)
  const states = new Map<number, string>()
  for (const index of [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]) {
    const code = await hold(worker, 'collector', `${sale}-${index}`)
    if (index % 2 === 1) assert.equal((await purchase(worker, code)).status, 200)
    states.set(index, index % 2 === 1 ? 'sold' : 'held')
  }
  for (const path of [`/items?sale=${sale}&limit=7`, `/items?limit=100`, `/items?after=2&limit=1`]) {
    let indexes = Number(new URL(path, worker.baseUrl).searchParams.get('after') ?? 0)
    for (let next: string | null = path; next !== null && indexes < 100; ) {
      const { json, status } = await worker.http.get(next)
      assert.equal(status, 200)
      for (const { index, state } of itemsOf(json)) {
        indexes += 1
        assert.equal(index, indexes)
        assert.equal(state, states.get(index) ?? 'available', `item ${index}`)
      }
      next = json?.['next'] as string | null
    }
  }
  const held = await worker.http.get('/items?state=held')
  assert.deepEqual(
    itemsOf(held.json).map(({ index }) => index),
    [2, 8, 34],
  )
  for (const [index, state] of states) {
    assert.equal((await worker.http.get(`/items/${sale}-${index}`)).json?.['state'], state)
  }
  assertProblem(await worker.http.get(`/items/${sale}-${items + 1}`), 404, 'item_unknown')
  assertProblem(await worker.http.get(`/items/${sale - 7}-1`), 404, 'sale_unknown')
})

test('unlisted sales are answered by the first shard, whichever item they name', async (t) => {
  const worker = await startHttpWorker(t, redis, { env: settings(1, intervalDays - 13), shards })
  const sale = await currentSale(worker)
  for (const index of [1, 2, 3]) {
    for (const [number, status, code] of [
      [sale - 5, 410, 'sale_closed'],
      [sale + 5, 404, 'sale_not_open'],
    ] as const) {
      const reply = await checkout(worker, 'early-or-late', `${number}-${index}`)
      assertProblem(reply, status, code)
      assertDecisionOf(reply, 0)
    }
    const reply = await purchase(worker, `${sale - 5}-${index}-${'x'.repeat(16)}`)
    assertProblem(reply, 404, 'code_unknown')
    assertDecisionOf(reply, 0)
  }
})

test('a worker that does not know a sale finds the shard of each of its codes', async (t) => {
  const env = settings(6, intervalDays - 14)
  const first = await startHttpWorker(t, redis, { env, shards })
  const sale = await currentSale(first)
  // A sale that no worker has opened, and that none looks after.
  const { nowMs } = await first.store.logState()
  const times = { opensAtMs: nowMs - 60_000, closesAtMs: nowMs + 3_600_000, holdMs: 600_000 }
  const terms = { sale: sale + 3, ...times, items, userLimit: 6, shards }
  for (const store of first.stores) await store.openSale(terms, 3_600)
  for (const index of [4, 5, 6]) {
    const reply = await checkout(first, 'wanderer', `${sale + 3}-${index}`)
    assertDecisionOf(reply, shardOf(index, shards))
    const other = await startHttpWorker(t, redis, { env, shards })
    const bought = await purchase(other, codeOf(reply))
    assert.deepEqual([bought.status, bought.json?.['item_id']], [200, `${sale + 3}-${index}`])
    assertDecisionOf(bought, shardOf(index, shards))
  }
})

test('a shard that may not decide stops the selling of its own items, and of what depends on it, and is named', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env: settings(3, intervalDays), shards })
  const sale = await currentSale(worker)
  const [, , last] = worker.stores as [SaleStore, SaleStore, SaleStore]
  const code = await hold(worker, 'early', `${sale}-3`)
  await hold(worker, 'early', `${sale}-1`)
  const { epoch = 0, recordId = '' } = await last.logState()
  await last.admit({ run: '-', epoch, recordId })

  await eventually(async () => (await checkout(worker, 'ann', `${sale}-6`)).json?.['code'] === 'recovering')
  assertProblem(await purchase(worker, code), 503, 'recovering')
  for (const index of [4, 5]) await hold(worker, 'ann', `${sale}-${index}`)
  // Two of her three rights are there; the third one is in the shard that can't be asked.
  assertProblem(await checkout(worker, 'ann', `${sale}-7`), 503, 'recovering')
  assert.equal((await checkout(worker, 'ann', `${sale}-4`)).status, 200, 'what she has she keeps')
  assertProblem(await checkout(worker, 'bob', `${sale}-4`), 409, 'item_held')

  const { json } = await worker.http.get('/sale')
  assert.deepEqual([json?.['held'], json?.['missing_shards']], [3, [2]])
  const page = await worker.http.get('/items?limit=7')
  const indexes = itemsOf(page.json).map(({ index }) => index)
  assert.deepEqual([indexes, page.json?.['missing_shards']], [[1, 2, 4, 5, 7], [2]])
  assertProblem(await worker.http.get(`/items/${sale}-3`), 503, 'unavailable')
  // A worker that is late by half a second is told of as not ready.
  const ready = await eventually(async () => {
    const reply = await worker.http.get('/readyz')
    return reply.status === 200 ? reply : undefined
  })
  const checks = ready.json?.['checks'] as { record: object; shards: { each: { status: string }[] } }
  assert.deepEqual([ready.json?.['status'], checks.record], ['degraded', { status: 'unverified' }])
  assert.deepEqual(
    checks.shards.each.map(({ status }) => status),
    ['degraded', 'degraded', 'not_ready'],
  )

  await admitRun(last)
  await eventually(async () => (await checkout(worker, 'ann', `${sale}-7`)).status === 200)
  assert.equal((await purchase(worker, code)).status, 200)
  await eventually(async () => (await worker.http.get('/sale')).json?.['missing_shards'] === undefined)
  assertProblem(await checkout(worker, 'ann', `${sale}-6`), 409, 'user_limit_reached')
})

test('a shard that has lost an open sale gets it again, and sells', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env: settings(3, intervalDays), shards })
  const sale = await currentSale(worker)
  for (const { redis: connection, keys } of worker.stores) {
    await connection.hdel(keys.sales, String(sale))
    for (const index of [1, 2, 3]) {
      await eventually(async () => codeOf(await checkout(worker, 'ann', `${sale}-${index}`)))
    }
  }
  const fields = await Promise.all(worker.stores.map((store) => store.redis.hget(store.keys.sales, String(sale))))
  assert.equal(new Set(fields).size, 1, 'all list the same')
})

test('the board follows all shards, and reads all of them anew when one has forgotten its viewers', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env: settings(items, intervalDays), shards })
  const sale = await currentSale(worker)
  const code = await hold(worker, 'ann', `${sale}-2`)
  await hold(worker, 'ann', `${sale}-3`)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.state(2) === 'held' && view.state(3) === 'held')
  await purchase(worker, code)
  for (const index of [1, 5, 9]) await hold(worker, 'ann', `${sale}-${index}`)
  await eventually(() => view.state(2) === 'sold' && [1, 3, 5, 9].every((index) => view.state(index) === 'held'))
  assert.deepEqual([view.last?.held, view.last?.sold, view.count('state')], [4, 1, 1])

  // It notes nothing any more for whoever has read so far.
  const [, second] = worker.stores as [SaleStore, SaleStore, SaleStore]
  await second.redis.hdel(second.keys.sales, 'watched_since', 'watched_until')
  await hold(worker, 'ann', `${sale}-8`)
  await eventually(() => view.state(8) === 'held')
  assert.deepEqual([view.count('state'), view.state(9), view.state(2)], [2, 'held', 'sold'])
})
