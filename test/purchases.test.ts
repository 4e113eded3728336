// Goal: whoever follows GET /purchases gets every purchase once, in the order of the record, whatever dies meanwhile; and what
// can't be answered is refused by name.
// Method: two servers with three shards sell under load, while workers, persisters and at last a whole server are killed. Readers
// go from one server to the other with their cursors, and what they got is held against Postgres.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { purchasesReadersMax } from '../core/limits.ts'
import { runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { Crowd } from './helpers/crowd.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { assertProblem, buyOne, currentSale } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { childrenOf, processTree, signal } from './helpers/processes.ts'
import { PurchaseReader } from './helpers/purchase-reader.ts'
import { openPostgres } from './helpers/record.ts'
import type { Scope } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const oneLongSale = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_WORKERS: '1' }
const limits = [1, 3, 20, 1_000]
/** Of a reader that has all there is. */
const pauseMs = 50
/** Problems of the operators' port lead to no page: it has none. */
const ofOperators = { docUrl: undefined }

async function startServices(t: Scope) {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  return { redis, postgres, env: servicesEnv({ redis: redis.connection, db: postgres.connection }) }
}

function operators(t: TestContext, cluster: Cluster): HttpClient {
  return new HttpClient(t, { baseUrl: cluster.metricsUrl })
}

/** Follows at any of the servers, until it is told to end; then to the end of the record at the last one. */
async function follow(
  reader: PurchaseReader,
  { servers, random, isOver }: { servers: readonly HttpClient[]; random: SeededRandom; isOver: () => boolean },
): Promise<void> {
  while (!isOver()) {
    const server = random.pick(servers)
    const next = reader.next(server, { limit: random.pick(limits), lines: random.chance(0.5) })
    const isMore = await next.catch((error: unknown) => {
      if (error instanceof assert.AssertionError) throw error
      return false // of a server that was killed: the cursor is as it was
    })
    // Without it readers at the end of the record would keep all cores from those who sell.
    if (!isMore) await delay(pauseMs)
  }
}

test(`readers get each purchase once while workers, persisters and a server are killed (SEED=${seed})`, async (t) => {
  const random = new SeededRandom(seed)
  // More than one server sells while the other one has no worker.
  const items = 4_000
  const { postgres, env } = await startServices(t)
  const sale = { APP_ITEM_NUMBER: String(items), APP_SHARDS: '3', APP_HOLD_SECONDS: '1', APP_USER_LIMIT: '40' }
  const options = { env: { ...env, ...oneLongSale, ...sale } }
  const [one, other] = await Promise.all([startCluster(t, options), startCluster(t, options)])
  const id = await currentSale(one)
  const crowds = [one, other].map(
    ({ http }, n) => new Crowd({ http, ledger: new Ledger(), sale: { id, items }, users: 100, seed: seed + n }),
  )
  let isOver = false
  const sold = () => Math.max(...crowds.map((crowd) => crowd.sold.size))
  const buying = crowds.map((crowd) => crowd.run(6, () => isOver))
  const servers = [one, other].map((cluster) => operators(t, cluster))
  const readers = [0, 1, 2].map(() => new PurchaseReader())
  const reading = readers.map((reader, n) =>
    follow(reader, { servers, random: new SeededRandom(seed + n), isOver: () => isOver }),
  )
  try {
    for (let kill = 1; kill <= 6; kill++) {
      await eventually(() => sold() > kill * 80, { what: `${kill * 80} sold items` })
      const victim = random.pick([one, other])
      const program = kill % 2 === 0 ? /server\/worker\/main/ : /persister-main/
      process.kill(await eventually(() => childrenOf(victim.pid, program)[0]), 'SIGKILL')
    }
    for (const pid of processTree(one.pid)) signal(pid, 'SIGKILL')
    await eventually(() => (crowds[1]?.sold.size ?? 0) > 600, { what: 'the other server' })
  } finally {
    isOver = true
    await Promise.all([...buying, ...reading])
  }
  const audit = await runAuditJson(other.env)
  assert.equal(audit.verdict, 'passed')
  const record = openPostgres(t, postgres.connection)
  readers.push(new PurchaseReader())
  for (const reader of readers) {
    while (await reader.next(servers[1] ?? assert.fail(), { limit: random.pick(limits) }));
    reader.assertComplete(record)
  }
  assert.ok((readers[0]?.got.length ?? 0) >= 600)
  await other.stop() // as long as it has its services
})

test('each parameter, header and method that can not be answered is refused by name', async (t) => {
  const { postgres, env } = await startServices(t)
  const cluster = await startCluster(t, { env: { ...env, ...oneLongSale } })
  const http = operators(t, cluster)
  await buyOne(cluster, 'ann')
  const record = openPostgres(t, postgres.connection)
  await eventually(() => record.query('select from purchases').length === 1)
  const { headers } = await http.get('/purchases')
  const cursor = String(headers['hotcakes-cursor'])

  const malformed: readonly (readonly [query: string, detail: RegExp])[] = [
    ['limit=0', /limit must be a whole number from 1 to 1000/],
    ['limit=1001', /limit must be/],
    ['limit=-1', /limit must be/],
    ['limit=1.5', /limit must be/],
    ['limit=', /limit must be/],
    ['limit=%00', /limit must be/],
    ['limit=5&limit=6', /limit is given more than once/],
    [`after=${cursor}&after=${cursor}`, /after is given more than once/],
    ['after=', /after must be a cursor as it was answered/],
    ['after=1-2', /after must be a cursor/],
    [`after=${cursor.slice(0, -1)}`, /after must be a cursor/],
    [`after=${cursor}x`, /after must be a cursor/],
    [`After=${cursor}`, /no such parameter: after and limit/],
    ['sale=7', /no such parameter/],
  ]
  for (const [query, detail] of malformed) {
    const reply = await http.get(`/purchases?${query}`)
    assertProblem(reply, 400, 'invalid_request', ofOperators)
    assert.match(String(reply.json?.['detail']), detail, query)
  }
  const withBody = await http.get('/purchases', { headers: { 'content-length': '2' }, body: '{}' })
  assertProblem(withBody, 400, 'invalid_request', ofOperators)
  assert.match(String(withBody.json?.['detail']), /must have no body/)
  assert.equal(withBody.headers.connection, 'close')
  assertProblem(await http.get('/purchases', { headers: { accept: 'text/csv' } }), 406, 'not_acceptable', ofOperators)
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
    const reply = await http.send(method, '/purchases')
    assert.deepEqual([reply.status, reply.headers.allow], [405, 'GET'], method)
  }
  const unknown = await http.get('/purchases/1')
  assert.deepEqual([unknown.status, unknown.text], [404, 'only /metrics and /purchases are here\n'])
  assertProblem(await cluster.http.get('/purchases'), 404, 'route_unknown') // it is not for buyers

  record.query('update log_offsets set record = gen_random_uuid()')
  assertProblem(await http.get(`/purchases?after=${cursor}`), 409, 'cursor_foreign', ofOperators)
  await cluster.stop()
})

test('a reader that takes nothing has no more than its place, and a Postgres that is away is said to be', async (t) => {
  const { postgres, env } = await startServices(t)
  const cluster = await startCluster(t, { env: { ...env, ...oneLongSale } })
  const http = operators(t, cluster)
  const record = openPostgres(t, postgres.connection)
  // Another session's lock: the page can't be read as long as it lasts.
  record.query('begin; lock table purchases in access exclusive mode')
  const { port } = new URL(cluster.metricsUrl)
  const ask = () => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
    t.after(() => socket.destroy())
    socket.write('GET /purchases HTTP/1.1\r\nHost: shop\r\n\r\n')
    return socket
  }
  let sockets: Socket[] = []
  const refused = await eventually(async () => {
    // If we come before the last of them we have a place, and all are given up together: then they have to ask again.
    for (const socket of sockets) socket.destroy()
    sockets = Array.from({ length: purchasesReadersMax }, ask)
    const reply = await http.get('/purchases')
    return reply.json?.['code'] === 'overloaded' ? reply : undefined
  })
  assertProblem(refused, 503, 'overloaded', ofOperators)
  assert.ok(Number(refused.headers['retry-after']) > 0)
  assert.equal((await http.get('/metrics')).status, 200)
  for (const socket of sockets) socket.destroy()
  record.query('commit')
  await eventually(async () => (await http.get('/purchases')).status === 200, { what: 'their places are free again' })

  await postgres.stop()
  const away = await http.get('/purchases')
  assertProblem(away, 503, 'records_unavailable', ofOperators)
  assert.ok(Number(away.headers['retry-after']) > 0)
  await postgres.start()
  await eventually(async () => (await http.get('/purchases')).status === 200, { what: 'Postgres' })
  await cluster.stop()
})
