// Goal: what is on record can be read while it is being made: what Postgres has, and how far it has it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { runAudit } from './helpers/audit.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase, release } from './helpers/items.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord, openPostgres } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const postgres = await startPostgres({ after })
const redis = await startRedis({ after })
const db = postgres.connection
newRecord({ after }, db)
const servicesOf = servicesEnv({ db, redis: redis.connection })
const env = { ...servicesOf, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ITEM_NUMBER: '8' }
const worker = await startHttpWorker({ after }, redis, { env })
const { http } = worker
const sale = await currentSale(worker)

async function buy(user: string, index: number): Promise<string> {
  const code = await hold(worker, user, `${sale}-${index}`)
  assert.equal((await purchase(worker, code)).status, 200)
  return code
}

/** The reply once it is 200, with its JSON. */
async function ok(path: string): Promise<HttpReply & { readonly json: Record<string, unknown> }> {
  const reply = await http.get(path)
  assert.equal(reply.status, 200, reply.text)
  return { ...reply, json: reply.json ?? {} }
}

const lagOf = ({ headers }: HttpReply) => Number(headers['hotcakes-lag'])

test('a sale is listed, and its counts are exact, before Postgres has any of it', async () => {
  const [first] = (await ok('/sales')).json['sales'] as Record<string, unknown>[]
  const { json: current } = await ok('/sale')
  const terms = { state: 'open', items: 8, user_limit: 10, hold_seconds: 600 }
  const times = { opens_at: current['opens_at'], closes_at: current['closes_at'] }
  assert.deepEqual(first, { id: sale, ...terms, ...times })

  const code = await buy('ann', 1)
  assert.equal((await purchase(worker, code)).status, 200)
  await checkout(worker, 'bob', `${sale}-1`)
  await checkout(worker, 'bob', `${sale}-99`)
  await hold(worker, 'bob', `${sale}-2`)
  await hold(worker, 'bob', `${sale}-2`)
  const given = await hold(worker, 'bob', `${sale}-8`)
  assert.equal((await release(worker, given)).status, 200)
  assert.deepEqual((await ok(`/sales/${sale}`)).json, {
    ...first,
    attempts: 9,
    holds: 3,
    releases: 1,
    purchases: 1,
    repeats: 2,
    rejections: { item_sold: 1, item_unknown: 1 },
    sold_out_at: null,
    audit: null,
  })
})

test('a purchase is found by its code at once, by nothing else, and for ever', async () => {
  const code = await hold(worker, 'carl', `${sale}-3`)
  const path = `/purchases/${code}`
  assertProblem(await http.get(path), 404, 'purchase_unknown')
  const { json } = await purchase(worker, code)
  const found = await ok(path)
  assert.deepEqual(found.json, json)
  assert.equal(lagOf(found), 0)
  const wrong = `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`
  assertProblem(await http.get(`/purchases/${wrong}`), 404, 'purchase_unknown')
  assertProblem(await http.get(`/purchases/${sale + 5}${code.slice(String(sale).length)}`), 404, 'purchase_unknown')
})

test('an answer from Postgres says how far behind it may be, and catches up', async (t) => {
  const persister = await startPersister(t, { db, redis: redis.connection })
  const code = await buy('dora', 4)
  const listed = async () => (await ok('/users/dora/purchases')).json['purchases'] as unknown[]
  await eventually(async () => (await listed()).length === 1)
  await eventually(async () => (await ok('/sales')).headers['hotcakes-position'] !== undefined)
  const { headers } = await ok('/users/dora/purchases')
  assert.match(String(headers['hotcakes-lag']), /^\d+\.\d{3}$/)
  assert.match(String(headers['hotcakes-position']), /^1-\d+$/)
  assert.ok(!JSON.stringify(await listed()).includes(code.slice(-16)))
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
})

test('a purchase that Redis has forgotten is found in Postgres', async (t) => {
  const code = await buy('emil', 8)
  const { json } = await ok(`/purchases/${code}`)
  await (await startPersister(t, { db, redis: redis.connection })).drain()
  const { redis: connection, keys } = worker.store
  const entry = await connection.hgetBuffer(keys.items(sale), '8')
  await connection.hdel(keys.items(sale), '8')
  assert.deepEqual((await ok(`/purchases/${code}`)).json, json)
  await connection.hset(keys.items(sale), '8', entry ?? '')
})

test("a user's purchases come newest sale first, in stable pages", async (t) => {
  const record = openPostgres(t, db)
  const add = (inSale: number, index: number) =>
    record.query('insert into purchases values ($1, $2, now(), 1, 1, 0, $3, $4)', [
      inSale,
      index,
      'e.b@c:d',
      `${inSale}/${index}`,
    ])
  for (const inSale of [sale - 2, sale - 1]) for (const index of [1, 2, 3]) add(inSale, index)
  const ids: unknown[] = []
  let path: unknown = '/users/e.b%40c%3Ad/purchases?limit=2'
  while (typeof path === 'string') {
    const { json } = await ok(path)
    assert.equal(json['user_id'], 'e.b@c:d')
    ids.push(...(json['purchases'] as { item_id: string }[]).map((one) => one.item_id))
    add(sale, 100 + ids.length) // newer than all that follows
    path = json['next']
  }
  record.query("delete from purchases where user_id = 'e.b@c:d'")
  const expected = [sale - 1, sale - 2].flatMap((inSale) => [3, 2, 1].map((index) => `${inSale}-${index}`))
  assert.deepEqual(ids, expected)
  assert.deepEqual((await ok('/users/nobody/purchases')).json, { user_id: 'nobody', purchases: [], next: null })
})

test('the sold-out time and the verdict of the audit are on record', async (t) => {
  for (const [n, index] of [2, 5, 6, 7].entries()) await buy(n === 0 ? 'bob' : `user-${n}`, index)
  assert.equal((await ok(`/sales/${sale}`)).json['sold_out_at'], null)
  await (await startPersister(t, { db, redis: redis.connection })).drain()
  assert.equal((await runAudit(servicesOf)).status, 0)
  const { json } = await ok(`/sales/${sale}`)
  assert.equal(json['purchases'], 8)
  const purchases = openPostgres(t, db).query<{ at: Date }>('select max(purchased_at) as at from purchases')
  assert.equal(json['sold_out_at'], purchases[0]?.at.toISOString())
  const { verdict, at, position } = json['audit'] as Record<string, string>
  assert.equal(verdict, 'passed')
  assert.ok(Math.abs(Date.parse(at ?? '') - Date.now()) < 60_000)
  assert.match(position ?? '', /^1-\d+$/)
})

test('of a sale that Redis has dropped the record remains', async (t) => {
  const before = (await ok(`/sales/${sale}`)).json
  const record = openPostgres(t, db)
  record.query(
    `insert into sales select sale_id - 7, opens_at - interval '210 days', closes_at - interval '210 days',
    items, user_limit, hold_seconds from sales where sale_id = $1`,
    [sale],
  )
  record.query(
    `insert into checkout_attempts select decided_at, epoch, batch + 1000, sale_id - 7, item_index, expires_at, n,
    outcome, user_id, nonce from checkout_attempts where sale_id = $1`,
    [sale],
  )
  record.query(
    `insert into purchase_attempts select decided_at, epoch, batch + 1000, sale_id - 7, item_index, n, outcome,
    nonce, user_id from purchase_attempts where sale_id = $1`,
    [sale],
  )
  record.query(
    `insert into release_attempts select decided_at, epoch, batch + 1000, sale_id - 7, item_index, n, outcome,
    nonce, user_id from release_attempts where sale_id = $1`,
    [sale],
  )
  record.query(
    `insert into purchases select sale_id - 7, item_index, purchased_at - interval '210 days', epoch,
    batch + 1000, n, user_id, nonce || '!' from purchases where sale_id = $1`,
    [sale],
  )
  const { json } = await ok(`/sales/${sale - 7}`)
  const fields = ['items', 'attempts', 'holds', 'releases', 'purchases', 'repeats', 'rejections']
  for (const field of fields) assert.deepEqual(json[field], before[field], field)
  assert.equal(json['state'], 'closed')
  assert.notEqual(json['sold_out_at'], null)
  // Counted once: nothing is added to it any more.
  record.query('delete from checkout_attempts where sale_id = $1', [sale - 7])
  assert.equal((await ok(`/sales/${sale - 7}`)).json['attempts'], before['attempts'])
  const { sales } = (await ok('/sales')).json as { sales: { id: number }[] }
  assert.deepEqual(
    sales.map(({ id }) => id),
    [sale, sale - 7],
  )
  const first = await ok('/sales?limit=1')
  assert.deepEqual((await ok(String(first.json['next']))).json['sales'], [sales[1]])
})

test('what is malformed, and what is not there, is told apart', async () => {
  const malformed = [
    '/sales/x',
    '/sales/-1',
    '/sales?after=x',
    '/sales?limit=101',
    '/users/a%20b/purchases',
    '/purchases/x',
  ]
  malformed.push('/users/ann/purchases?after=7', '/users/ann/purchases?limit=0', `/users/${'x'.repeat(256)}/purchases`)
  for (const path of malformed) assertProblem(await http.get(path), 400, 'invalid_request')
  assertProblem(await http.get(`/sales/${sale + 9}`), 404, 'sale_unknown')
  for (const path of ['/sales/', '/users/ann', '/purchases']) assertProblem(await http.get(path), 404, 'route_unknown')
})

test('HEAD is GET without a body, and other methods are named', async () => {
  for (const path of ['/sales', `/sales/${sale}`, '/users/ann/purchases']) {
    const head = await http.send('HEAD', path)
    assert.deepEqual([head.status, head.text], [200, ''])
    assert.ok(Number(head.headers['content-length']) > 0)
    assertProblem(await http.send('POST', path), 405, 'method_not_allowed')
  }
})

test('without Postgres the records are away, for a while, and selling goes on', async () => {
  await postgres.stop()
  const away = await http.get('/users/ann/purchases')
  assertProblem(away, 503, 'records_unavailable')
  assert.ok(Number(away.headers['retry-after']) >= 1)
  assertProblem(await http.get('/sales'), 503, 'records_unavailable')
  assert.equal((await checkout(worker, 'ann', `${sale}-1`)).status, 409)
  assert.equal((await http.get(`/items/${sale}-1`)).json?.['state'], 'sold')
  await postgres.start()
  await eventually(async () => (await http.get('/users/ann/purchases')).status === 200)
})
