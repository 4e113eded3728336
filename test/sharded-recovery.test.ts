// Goal: what becomes of the Redis of one shard is no matter of the others: they sell on, the one waits, is rebuilt or goes on,
// and nobody gets more than the limit. And of two masters only the one that was admitted last decides.
// Method: the real server with a sale over three shards, in one Redis of which a shard's data are taken away, and in a real
// cluster whose masters die; the same buyers come back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { shardNumbers, shardOf } from '../core/shards.ts'
import { runAudit } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
import { openPostgres } from './helpers/record.ts'
import { linesWith, readiness, startReplicated, untilRecovered, untilSelling } from './helpers/recovering-shop.ts'
import { startRedisCluster } from './helpers/redis-cluster.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { dropShard } from './helpers/shard-data.ts'
import { runTool } from './helpers/tool.ts'

const recoverTool = fileURLToPath(new URL('../ops/tools/recover/main.js', import.meta.url))
const shards = 3
const saleEnv = {
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_USER_LIMIT: '3',
  APP_WORKERS: '1',
  APP_SHARDS: String(shards),
}

async function startSharded(t: TestContext, env: Readonly<Record<string, string>> = {}) {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t, { durable: true })])
  const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
  const cluster = await startCluster(t, { env: { ...saleEnv, ...services, ...env } })
  return { redis, postgres, cluster, admin: await openRedis(t, redis.admin) }
}

/** Of each shard. */
async function recoveries(t: TestContext, cluster: Cluster): Promise<(number | undefined)[]> {
  const seen = await scrape(new HttpClient(t, { baseUrl: cluster.metricsUrl }))
  return shardNumbers(shards).map((shard) => seen.value(`hotcakes_recoveries_total{shard="${shard}"}`))
}

async function untilAllSound(t: TestContext, cluster: Cluster): Promise<void> {
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  const areSound = async () => (await scrape(metrics)).total('hotcakes_record_sound') === shards
  await eventually(areSound, { what: 'all shards to be sound' })
  await untilSelling(cluster)
  // Its workers find out by themselves, within a second.
  const sale = await currentSale(cluster)
  for (const shard of shardNumbers(shards)) {
    const decides = async () => (await checkout(cluster, 'nobody', `${sale}-${9_001 + shard}`)).status !== 503
    await eventually(decides, { what: `shard ${shard} to decide` })
  }
}

/** Each buyer has as many as one may have, over all shards: one purchased, two held. */
async function sellToAll(cluster: Cluster, buyers: readonly string[]) {
  const sale = await currentSale(cluster)
  let next = 1
  const told: { buyer: string; bought: string; receipt: string; held: string[] }[] = []
  for (const buyer of buyers) {
    const items = Array.from({ length: 3 }, () => `${sale}-${next++}`)
    const codes: string[] = []
    for (const item of items) codes.push(await hold(cluster, buyer, item))
    const receipt = await purchase(cluster, codes[0] ?? '')
    assert.equal(receipt.status, 200, receipt.text)
    told.push({ buyer, bought: codes[0] ?? '', receipt: receipt.text, held: codes.slice(1) })
    assertProblem(await checkout(cluster, buyer, `${sale}-${1_000 + next}`), 409, 'user_limit_reached')
  }
  return { sale, told, next }
}

type Told = Awaited<ReturnType<typeof sellToAll>>

/** @param open a connection to where the shard is */
async function untilDrained(open: (shard: number) => Promise<{ xlen(key: string): Promise<number> }>): Promise<void> {
  for (const shard of shardNumbers(shards)) {
    const admin = await open(shard)
    await eventually(async () => (await admin.xlen(`{hotcakes:${shard}}:log`)) === 0, {
      what: `shard ${shard} drained`,
    })
  }
}

async function assertHonoured(cluster: Cluster, { sale, told }: Told): Promise<void> {
  for (const { buyer, bought, receipt, held } of told) {
    assert.equal((await purchase(cluster, bought)).text, receipt)
    for (const shard of shardNumbers(shards))
      assertProblem(await checkout(cluster, buyer, `${sale}-${2_001 + shard}`), 409, 'user_limit_reached')
    for (const code of held) assert.equal((await purchase(cluster, code)).status, 200, 'a code of before')
    assertProblem(await checkout(cluster, buyer, `${sale}-3001`), 409, 'user_limit_reached')
  }
}

/** A master that returns turns its clients away for some seconds: each reason is said once, and the end with their number. */
async function assertSaidOnce(cluster: Cluster, shard: number): Promise<void> {
  const said = ({ process, msg }: { process: string; msg: string }) =>
    cluster
      .logLines()
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['process'] === process && line['shard'] === shard && line['msg'] === msg)
  for (const [process, down, up] of [
    ['primary', 'no connection to Redis', 'connected to Redis'],
    ['http', 'Redis is away', 'Redis is up'],
  ] as const) {
    const isOver = () => said({ process, msg: up }).some((line) => Number(line['turnedAway']) > 1)
    await eventually(isOver, { what: `that ${process} says how often it was turned away` })
    const reasons = said({ process, msg: down }).map((line) => line['reason'])
    assert.deepEqual(
      reasons.filter((reason) => reason !== undefined),
      [...new Set(reasons)].filter((reason) => reason !== undefined),
    )
  }
}

function assertNobodyAboveLimit(t: TestContext, postgres: Awaited<ReturnType<typeof startSharded>>['postgres']): void {
  const record = openPostgres(t, postgres.connection)
  assert.deepEqual(record.query('select from purchases group by sale_id, user_id having count(*) > 3'), [])
}

test('a shard that is emptied under a selling server is rebuilt, and the others go on in their epochs', async (t) => {
  const { cluster, admin, postgres } = await startSharded(t)
  const told = await sellToAll(cluster, ['ann', 'bob', 'cid'])
  await untilDrained(async () => admin)
  const done = new AbortController()
  const others = (async () => {
    // Not at full speed, and no item that is asked for elsewhere, however long the rebuild takes.
    for (let n = 0; n < 5_000 && !done.signal.aborted; n++) {
      const item = 4_000 + n
      if (shardOf(item, shards) === 1) continue
      await delay(5)
      const reply = await checkout(cluster, `other-${n}`, `${told.sale}-${item}`)
      // A buyer whose one right is in the shard that is away is told to come again.
      if (reply.status !== 200) assert.equal(reply.status, 503, reply.text)
    }
  })()
  await dropShard(admin, 1)
  await eventually(async () => (await recoveries(t, cluster))[1] === 1, { what: 'the rebuild' })
  await untilAllSound(t, cluster)
  done.abort()
  await others
  assert.deepEqual(await recoveries(t, cluster), [0, 1, 0])
  await assertHonoured(cluster, told)
  const decision = async (shard: number) =>
    String((await checkout(cluster, `new-${shard}`, `${told.sale}-${5_001 + shard}`)).headers['hotcakes-decision'])
  // 5001 is an item of shard 2.
  assert.match(await decision(0), /^2:1-/)
  assert.match(await decision(1), /^1-/)
  assert.match(await decision(2), /^1:2-/)
  assert.equal((await cluster.stop()).code, 0)
  assertNobodyAboveLimit(t, postgres)
})

test('a Redis with three shards that restarts goes on in their next epochs, and a new server too', async (t) => {
  const { cluster, redis, postgres } = await startSharded(t)
  const told = await sellToAll(cluster, ['ann', 'bob', 'cid'])
  await redis.stop()
  await redis.start()
  await untilAllSound(t, cluster)
  assert.deepEqual(await recoveries(t, cluster), [0, 0, 0])
  assert.equal((await cluster.stop()).code, 0)
  await redis.stop()
  await redis.start()
  const again = await startCluster(t, { env: cluster.env })
  await untilAllSound(t, again)
  await assertHonoured(again, told)
  const reply = await checkout(again, 'new', `${told.sale}-6001`)
  assert.match(String(reply.headers['hotcakes-decision']), /^[12]?:?3-/)
  assert.equal((await again.stop()).code, 0)
  assertNobodyAboveLimit(t, postgres)
})

test('all of three shards are lost, with APP_RECOVERY=manual: npm run recover says of each what it did', async (t) => {
  const { cluster, redis, admin, postgres } = await startSharded(t, { APP_RECOVERY: 'manual' })
  const told = await sellToAll(cluster, ['ann', 'bob'])
  await untilDrained(async () => admin)
  await redis.loseDisk()
  await redis.start()
  await eventually(() => linesWith(cluster, 'npm run recover').length === shards, { what: 'that all are lost' })
  const run = await runTool(recoverTool, cluster.env)
  assert.equal(run.status, 0, run.stderr)
  for (const shard of shardNumbers(shards)) assert.match(run.stderr, new RegExp(`shard ${shard}: rebuilt 1 live sales`))
  await untilAllSound(t, cluster)
  await assertHonoured(cluster, told)
  const wrong = await runTool(recoverTool, cluster.env, ['--shard', '3'])
  assert.deepEqual([wrong.status, /shards 0 to 2/.test(wrong.stderr)], [3, true], wrong.stderr)
  const reached = await runTool(recoverTool, cluster.env, ['--shard', '1'])
  assert.deepEqual([reached.status, /shard 1 can be reached/.test(reached.stderr)], [1, true], reached.stderr)
  assert.equal((await cluster.stop()).code, 0)
  assertNobodyAboveLimit(t, postgres)
})

/** Each shard has a master of its own, without a replica. */
async function startAtCluster(t: TestContext, env: Readonly<Record<string, string>> = {}) {
  const [redis, postgres] = await Promise.all([
    startRedisCluster(t, { masters: shards }),
    startPostgres(t, { durable: true }),
  ])
  const { cluster: nodes, user, password } = redis.settings
  const db = servicesEnv({ redis: { host: '', port: 0, user, password, tls: false }, db: postgres.connection })
  const { REDIS_HOST: _host, REDIS_PORT: _port, ...services } = db
  const cluster = await startCluster(t, { env: { ...saleEnv, ...services, ...env, REDIS_CLUSTER: nodes } })
  await untilAllSound(t, cluster)
  return { redis, postgres, cluster }
}

test('a master of a cluster dies and comes back: the others sell meanwhile, one that restarts waits for it', async (t) => {
  const { redis, postgres, cluster } = await startAtCluster(t)
  const told = await sellToAll(cluster, ['ann', 'bob', 'cid'])

  const [second, third] = [await redis.masterOf(1), await redis.masterOf(2)]
  await second.kill()
  // Item 3001 is one of shard 0, and so is the right of a buyer whose home it is.
  const sells = async () => (await checkout(cluster, `other-${Math.random()}`, `${told.sale}-6001`)).status !== 503
  await eventually(sells, { what: 'the first shard to sell' })
  const audited = await runAudit(cluster.env)
  assert.deepEqual([audited.status, /shard 1 can't be asked/.test(audited.stderr)], [3, true], audited.stderr)
  const lost = await eventually(() => linesWith(cluster, '"msg":"no connection to Redis"')[0])
  assert.match(lost, new RegExp(`"shard":1,"node":"127.0.0.1:${second.port}"`))
  await third.kill()
  await third.start()
  const says = (text: string) => () => linesWith(cluster, text).length > 0
  await eventually(says('HC_SHARD_AWAITED'), { what: 'that shard 2 waits' })
  assert.ok(linesWith(cluster, 'HC_SHARD_AWAITED').every((line) => /lent to shard 1 /.test(line)))

  await second.start()
  await untilAllSound(t, cluster)
  await assertSaidOnce(cluster, 1)
  assert.deepEqual(await recoveries(t, cluster), [0, 0, 0])
  await assertHonoured(cluster, told)
  assert.equal((await cluster.stop()).code, 0)

  await second.kill()
  const again = await startCluster(t, { env: cluster.env, awaitReady: false })
  const sellsAgain = async () => (await checkout(again, 'late', `${told.sale}-7003`)).status === 200
  await eventually(sellsAgain, { what: 'a server that starts meanwhile to sell from the others' })
  await second.start()
  await untilAllSound(t, again)
  assert.equal((await again.stop()).code, 0)
  assertNobodyAboveLimit(t, postgres)
})

test('a shard that is declared lost is waited for no more, and comes back by a rebuild', async (t) => {
  const { redis, postgres, cluster } = await startAtCluster(t)
  const told = await sellToAll(cluster, ['ann', 'bob', 'cid'])
  await untilDrained(async (shard) => {
    const admin = await redis.open(await redis.masterOf(shard))
    t.after(() => admin.disconnect())
    return admin
  })
  const [second, third] = [await redis.masterOf(1), await redis.masterOf(2)]
  await second.kill()
  await third.kill()
  await third.start()
  await eventually(() => linesWith(cluster, 'HC_SHARD_AWAITED').length > 0, { what: 'that shard 2 waits' })
  const waits = await runTool(recoverTool, cluster.env, ['--wait-seconds', '1'])
  assert.deepEqual([waits.status, /shard 2: HC_SHARD_AWAITED/.test(waits.stderr)], [3, true], waits.stderr)

  const run = await runTool(recoverTool, cluster.env, ['--shard', '1'])
  assert.equal(run.status, 0, run.stderr)
  assert.match(run.stderr, /shard 1 is declared lost: it comes back by a rebuild/)
  // Item 6003 is one of shard 2. Of the buyers a third has the right there.
  const sells = async () => (await checkout(cluster, `other-${Math.random()}`, `${told.sale}-6003`)).status === 200
  await eventually(sells, { what: 'shard 2 to sell' })

  await second.start()
  await untilAllSound(t, cluster)
  assert.deepEqual(await recoveries(t, cluster), [0, 1, 0])
  await assertHonoured(cluster, told)
  assert.equal((await cluster.stop()).code, 0)
  assertNobodyAboveLimit(t, postgres)
})

test('a stop leaves the logs that are out of reach where they are, without a wait for its deadline, and drains the others', async (t) => {
  // Above what a test waits for its end: a stop that waits for it fails the test.
  const { redis, postgres, cluster } = await startAtCluster(t, { APP_SHUTDOWN_SECONDS: '600' })
  const sale = await currentSale(cluster)
  const [second, third] = [await redis.masterOf(1), await redis.masterOf(2)]
  const record = openPostgres(t, postgres.connection)
  // The first shard's log gets into Postgres by the stop alone.
  record.query('begin; select from log_offsets where shard = 0 for update')
  for (const item of [1, 2, 3]) await hold(cluster, 'ann', `${sale}-${item}`)
  await second.kill()
  await third.kill()
  await third.start()
  await eventually(() => linesWith(cluster, 'HC_SHARD_AWAITED').length > 0, { what: 'that shard 2 waits' })
  const stopping = cluster.stop()
  await eventually(() => linesWith(cluster, 'stopping: SIGTERM').length > 0, { what: 'the stop' })
  record.query('rollback')
  assert.deepEqual(await stopping, { code: 1, signal: null })
  const left = linesWith(cluster, 'left: ').join('\n')
  assert.match(left, /the log of shard 1 is not drained to its end, because its Redis is out of reach \(HC_REDIS_UNAV/)
  assert.match(
    left,
    /the log of shard 2 is not drained to its end, because its Redis is not admitted \(HC_RUN_REPLACED\)/,
  )
  assert.match(left, /an unknown number of log entries of shard 1 .*Redis keeps them/)
  assert.doesNotMatch(left, /shard 0/)
  const items = () => record.query<{ item: number }>('select item_index::int as item from checkout_attempts')
  const isDrained = (item: number) => items().some((held) => held.item === item)
  assert.ok(isDrained(1))

  await second.start()
  const again = await startCluster(t, { env: cluster.env })
  await untilAllSound(t, again)
  assert.equal((await again.stop()).code, 0)
  assert.ok([1, 2, 3].every(isDrained))
})

test('a stop that leaves entries behind says of which shard', async (t) => {
  const { cluster, postgres } = await startSharded(t, { APP_SHUTDOWN_SECONDS: '5' })
  const sale = await currentSale(cluster)
  await hold(cluster, 'ann', `${sale}-1`)
  await postgres.stop()
  // Item 2 is one of shard 1.
  const isHeld = async () => (await checkout(cluster, `buyer-${Math.random()}`, `${sale}-2`)).status === 409
  await eventually(isHeld, { what: 'a hold' })
  assert.equal((await cluster.stop()).code, 1)
  const left = linesWith(cluster, 'left: ').join('\n')
  assert.match(left, /\d+ log entries of shard 1 are not in Postgres yet/)
  await postgres.start()
})

test('of two masters the one that was replaced is fenced off, and its server goes on at the other', async (t) => {
  const { replica, postgres, address, leader, follower, cluster } = await startReplicated(t)
  const sale = await currentSale(cluster)
  const code = await hold(cluster, 'ann', `${sale}-1`)
  await leader.wait(1, 10_000)
  await follower.replicaof('NO', 'ONE')
  const env = { ...cluster.env, ...servicesEnv({ redis: replica.connection, db: postgres.connection }) }
  const { user, password } = { user: cluster.env['REDIS_USER'] ?? '', password: cluster.env['REDIS_PASSWORD'] ?? '' }
  const { APP_PORT: _port, APP_METRICS_PORT: _metrics, APP_DATA_DIR: _data, ...rest } = env
  const other = await startCluster(t, { env: { ...rest, REDIS_USER: user, REDIS_PASSWORD: password } })
  assert.equal((await purchase(other, code)).status, 200)

  const isFenced = async () => (await readiness(cluster))['record']?.['fault'] === 'HC_RUN_REPLACED'
  await eventually(isFenced, { what: 'that the old master is fenced off' })
  assertProblem(await checkout(cluster, 'bob', `${sale}-1`), 503, 'recovering')
  assert.match(linesWith(cluster, 'HC_RUN_REPLACED')[0] ?? '', /another run of Redis .* in epoch 2/)
  assert.equal(linesWith(cluster, 'HC_RUN_REPLACED').length, 1)

  address.leadTo(replica.connection.port, 'stay')
  await untilRecovered(t, cluster, 0)
  assertProblem(await checkout(cluster, 'bob', `${sale}-1`), 409, 'item_sold')
  const reply = await checkout(other, 'bob', `${sale}-2`)
  assert.match(String(reply.headers['hotcakes-decision']), /^2-/, 'neither has pushed the other out')
  assert.equal((await other.stop()).code, 0)
  assert.equal((await cluster.stop()).code, 0)
})
