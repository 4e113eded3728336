// Goal: with APP_ACK=postgres every answered purchase is in Postgres the moment its answer comes, whatever happens to the
// rest of the server. Method: the real server, whose Postgres a test can make wait by a lock, and take away.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { ackWaitMsMax } from '../core/limits.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient, type HttpReply } from './helpers/http-client.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { onePid, type Scrape, scrape } from './helpers/metrics.ts'
import { openPostgres } from './helpers/record.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const purchasesUnderLoad = 200

async function start(scope: Scope, ack = 'postgres') {
  const [redis, postgres] = await Promise.all([startRedis(scope), startPostgres(scope, { durable: true })])
  const cluster = await startCluster(scope, {
    env: {
      ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      APP_ACK: ack,
    },
  })
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  return { redis, postgres, cluster, scrapeNow: () => scrape(metrics), sale: await currentSale(cluster) }
}

/** From now on no transaction that holds a purchase can be committed, until the result is called. */
function block(record: Postgres): () => void {
  record.query('begin')
  record.query('lock table purchases in share mode')
  return () => record.query('commit')
}

function isRecorded(record: Postgres, item: string): boolean {
  return record.query('select from purchases where sale_id = $1 and item_index = $2', item.split('-')).length === 1
}

/** Purchases of items from the first on, one after the other in each of some lanes, until one is not answered 200. */
function buy(cluster: Cluster, { sale, lanes }: { sale: number; lanes: number }, onPurchase: (item: string) => void) {
  const lane = async (first: number) => {
    for (let index = first; ; index += lanes) {
      const item = `${sale}-${index}`
      const held = await checkout(cluster, `user-${item}`, item)
      if (held.status !== 200) break
      const reply = await purchase(cluster, codeOf(held))
      if (reply.status !== 200) break
      onPurchase(item)
    }
  }
  return Promise.all(Array.from({ length: lanes }, (_, n) => lane(n + 1)))
}

/** What a purchase was answered, and how long that took. */
interface Told {
  readonly reply: HttpReply
  readonly tookMs: number
}

async function timedPurchase(cluster: Cluster, code: string): Promise<Told> {
  const sentMs = performance.now()
  const reply = await purchase(cluster, code)
  return { reply, tookMs: performance.now() - sentMs }
}

/** Whether it was: unless the machine took longer for all of this than a purchase waits, it had to be. */
function assertAnswered({ reply, tookMs }: Told): boolean {
  if (tookMs < ackWaitMsMax) assert.equal(reply.status, 200, reply.text)
  if (reply.status !== 200) assertProblem(reply, 503, 'unrecorded')
  return reply.status === 200
}

/** The answer of one more try. */
async function untilPurchased(cluster: Cluster, code: string): Promise<HttpReply> {
  return await eventually(
    async () => {
      const reply = await purchase(cluster, code)
      return reply.status === 200 ? reply : undefined
    },
    { what: 'the purchase once more' },
  )
}

async function untilWaiting(scrapeNow: () => Promise<Scrape>, count: number): Promise<void> {
  const waiting = async () => (await scrapeNow()).total('hotcakes_answers_uncommitted') === count
  await eventually(waiting, { what: `${count} answers that wait` })
}

/** Both workers answer, and were told before that it is over. */
function areDraining(now: Scrape): boolean {
  return now.pids('http').length === 2 && now.value('hotcakes_workers{kind="http",state="draining"}') === 2
}

/** Of the next tests, the last of which ends it. */
const shop = await start({ after })
let newest = 0

/** That nobody of them has asked for. */
function newItem(): string {
  newest += 1
  return `${shop.sale}-${newest}`
}

test('a purchase is not answered while its row cannot be committed, and is with its row', async (t) => {
  const { cluster, postgres, scrapeNow } = shop
  const record = openPostgres(t, postgres.connection)
  const [first, second] = [newItem(), newItem()]
  const code = await hold(cluster, 'ann', first)
  const unblock = block(record)
  const told: Told[] = []
  const pending = timedPurchase(cluster, code).then((answer) => {
    told.push(answer)
    return answer
  })
  await untilWaiting(scrapeNow, 1)
  await hold(cluster, 'ann', second)
  assert.ok(
    told.every((answer) => !assertAnswered(answer)),
    'it was answered without its row',
  )
  assert.equal(isRecorded(record, first), false)
  assertProblem(await cluster.http.get(`/purchases/${code}`), 404, 'purchase_unknown')
  unblock()
  const answer = await pending
  const reply = assertAnswered(answer) ? answer.reply : await untilPurchased(cluster, code)
  assert.equal(isRecorded(record, first), true)
  assert.equal((await cluster.http.get(`/purchases/${code}`)).text, reply.text)
})

test('Postgres is away: past the deadline 503, not ready; when it is back a retry gets the purchase', async (t) => {
  const { cluster, postgres } = shop
  const item = newItem()
  const code = await hold(cluster, 'ben', item)
  await postgres.stop()
  assertProblem(await purchase(cluster, code), 503, 'unrecorded')
  await eventually(async () => (await cluster.http.get('/readyz')).status === 503)
  await postgres.start()
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200)
  const reply = await untilPurchased(cluster, code)
  assert.ok(isRecorded(openPostgres(t, postgres.connection), item))
  assert.equal((await untilPurchased(cluster, code)).text, reply.text)
})

test('the persister dies while purchases wait: the next one commits them, and they are answered', async (t) => {
  const { cluster, postgres, scrapeNow } = shop
  const item = newItem()
  const record = openPostgres(t, postgres.connection)
  const code = await hold(cluster, 'cleo', item)
  // One that is late with its numbers is not in a scrape.
  const persister = await eventually(async () => onePid((await scrapeNow()).pids('persister')))
  const unblock = block(record)
  const pending = timedPurchase(cluster, code)
  await untilWaiting(scrapeNow, 1)
  process.kill(persister, 'SIGKILL')
  unblock()
  if (!assertAnswered(await pending)) await untilPurchased(cluster, code)
  assert.ok(isRecorded(record, item))
})

test('SIGTERM while purchases wait: they are answered before the server ends, exit status 0', async (t) => {
  const { cluster, postgres, scrapeNow } = shop
  const unblock = block(openPostgres(t, postgres.connection))
  const codes = await Promise.all([1, 2, 3, 4].map(() => hold(cluster, 'dan', newItem())))
  const pending = codes.map((code) => timedPurchase(cluster, code))
  await untilWaiting(scrapeNow, 4)
  process.kill(cluster.pid, 'SIGTERM')
  let areAnswered = false
  const answers = Promise.all(pending).finally(() => (areAnswered = true))
  const areLeaving = async () => areAnswered || areDraining(await scrapeNow())
  // One that hasn't heard of it yet would leave its connections open. In the first scrape it may answer before that.
  for (const what of ['a drain', 'workers that know of it']) await eventually(areLeaving, { what })
  unblock()
  for (const answer of await answers)
    if (assertAnswered(answer)) assert.equal(answer.reply.headers['connection'], 'close')
  assert.deepEqual(await cluster.exited, { code: 0, signal: null })
})

test('under load the row of every purchase is there when its answer comes', async (t) => {
  const { cluster, postgres, sale } = await start(t)
  const record = openPostgres(t, postgres.connection)
  const missing: string[] = []
  let count = 0
  const buying = buy(cluster, { sale, lanes: 16 }, (item) => {
    if (!isRecorded(record, item)) missing.push(item)
    count += 1
    if (count === purchasesUnderLoad) process.kill(cluster.pid, 'SIGTERM')
  })
  await buying.catch(() => undefined) // the connections of a server that has stopped
  assert.deepEqual(missing, [])
  assert.ok(count >= purchasesUnderLoad)
  assert.deepEqual(await cluster.exited, { code: 0, signal: null })
})

test('the disk of Redis is lost under load: every purchase that was answered is in Postgres, and stays', async (t) => {
  const { cluster, postgres, redis, sale } = await start(t)
  const purchased: string[] = []
  const buying = buy(cluster, { sale, lanes: 16 }, (item) => purchased.push(item))
  await eventually(() => purchased.length >= purchasesUnderLoad)
  await redis.loseDisk()
  await buying
  const record = openPostgres(t, postgres.connection)
  assert.deepEqual(
    purchased.filter((item) => !isRecorded(record, item)),
    [],
  )
  await redis.start()
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200)
  for (const item of purchased) assertProblem(await checkout(cluster, 'late', item), 409, 'item_sold')
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test('Redis restarts while purchases wait: they are answered when their rows are there, though a newer epoch is too', async (t) => {
  const { cluster, postgres, redis, scrapeNow, sale } = await start(t)
  const record = openPostgres(t, postgres.connection)
  const code = await hold(cluster, 'ann', `${sale}-1`)
  const unblock = block(record)
  const pending = timedPurchase(cluster, code)
  await untilWaiting(scrapeNow, 1)
  await redis.stop()
  await redis.start()
  const isNewEpoch = async () => (await checkout(cluster, 'bob', `${sale}-2`)).status === 200
  await eventually(isNewEpoch, { what: 'the next epoch' })
  unblock()
  assertAnswered(await pending)
  // One worker was seen selling, and the other may take longer to come back.
  await untilPurchased(cluster, code)
  assert.ok(isRecorded(record, `${sale}-1`))
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

test('by default a purchase is answered although Postgres cannot commit it', async (t) => {
  const { cluster, postgres, sale } = await start(t, 'redis')
  const code = await hold(cluster, 'ann', `${sale}-1`)
  const record = openPostgres(t, postgres.connection)
  const unblock = block(record)
  assert.equal((await purchase(cluster, code)).status, 200)
  assert.equal(isRecorded(record, `${sale}-1`), false)
  unblock()
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})
