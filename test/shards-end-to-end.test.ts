// Goal: over several shards no user ever has more than the limit, whatever dies, and no right gets lost on the way.
// Method: a whole server on an embedded cluster. Greedy users want items of all shards at once, while an HTTP worker is killed
// every second: rights are then between two shards whenever their round ends half-way. What a user has is counted from the
// answers and from Redis' items. Then each user buys until it is refused, at one shard, so that all its rights have to get there.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { Fault } from '../core/faults.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { homeShard } from '../core/rights.ts'
import { shardNumbers, shardOf } from '../core/shards.ts'
import { readFacts } from '../ops/embedded/facts.ts'
import { decodeSnapshot } from '../ops/tools/audit/redis-side.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient, type HttpReply } from './helpers/http-client.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { childrenOf } from './helpers/processes.ts'
import { openPostgres } from './helpers/record.ts'
import { seed } from './helpers/seed.ts'
import { commandTimeoutMs } from './helpers/services.ts'

const shards = 3
const items = 1_800
/** The last items of the sale, which nobody wants before it is looked whether each right can still be used. */
const lateItems = 1_200
const userCount = 9
const holdSeconds = 2
const buyersPerUser = 3
const kills = 5
const killEveryMs = 1_000
const retryDelayMs = 20
/** Of what is said to be purchased: it ends with the sale only. */
const forGood = Infinity

interface Shop {
  readonly cluster: Cluster
  readonly http: HttpClient
  readonly sale: number
  readonly limit: number
  readonly stores: readonly SaleStore[]
}

async function openShop(t: TestContext, limit: number): Promise<Shop> {
  const cluster = await startCluster(t, {
    env: {
      APP_SHARDS: String(shards),
      APP_ITEM_NUMBER: String(items),
      APP_USER_LIMIT: String(limit),
      APP_HOLD_SECONDS: String(holdSeconds),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), // no new sale in the middle of the test
    },
  })
  const redis = readFacts(cluster.dataDir).redis?.connection
  assert.ok(redis !== undefined && redis.cluster !== '')
  const stores = shardNumbers(shards).map(
    (shard) => new SaleStore(redis, { shard, name: 'hotcakes test', commandTimeoutMs }),
  )
  t.after(() => {
    for (const store of stores) store.close()
  })
  for (const store of stores) await store.connect()
  const http = new HttpClient(t, { baseUrl: cluster.baseUrl, connections: userCount * buyersPerUser })
  return { cluster, http, sale: await currentSale(cluster), limit, stores }
}

/** What users were told that they have: code -> until when, on the one clock of this machine. */
class Holdings {
  readonly #ofUsers = new Map<string, Map<string, number>>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  /** @param untilMs of the Unix epoch. At this moment nobody may have more than the limit */
  note(user: string, code: string, untilMs: number): void {
    const holdings = this.#ofUsers.get(user) ?? new Map<string, number>()
    // A user's second buyer may be told of the hold after the first one was told of its purchase.
    this.#ofUsers.set(user, holdings.set(code, Math.max(untilMs, holdings.get(code) ?? 0)))
    const nowMs = Date.now()
    const live = [...holdings].filter(([, endMs]) => endMs > nowMs)
    const told = live.map(([own, endMs]) => `${own} for ${endMs - nowMs} ms`)
    assert.ok(live.length <= this.#limit, `${user} was told of ${told.join(', ')}`)
  }

  bought(user: string): number {
    return [...(this.#ofUsers.get(user)?.values() ?? [])].filter((endMs) => endMs === forGood).length
  }
}

/** Until it is decided: a worker that dies leaves it open, and one that can't ask all shards says so. */
async function decided(http: HttpClient, path: string): Promise<HttpReply> {
  return await eventually(
    async () => {
      const reply = await http.post(path)
      if (reply.status !== 503) return reply
      await delay(retryDelayMs)
      throw new Error(reply.text)
    },
    { what: path },
  )
}

/** A hold of the item, if it is decided so. */
async function tryToHold(shop: Shop, user: string, item: number): Promise<HttpReply> {
  const id = `${shop.sale}-${item}`
  const reply = await decided(shop.http, checkoutPath(user, id))
  if (reply.status === 200) assert.equal(reply.json?.['item_id'], id, 'an answer is that of its own request')
  return reply
}

async function redeem(shop: Shop, holdings: Holdings, user: string, code: string): Promise<boolean> {
  const { status } = await decided(shop.http, purchasePath(code))
  if (status === 200) holdings.note(user, code, forGood)
  return status === 200
}

/** Several of these are one user, who wants everything at once and buys a little of it. */
async function shopGreedily(
  shop: Shop,
  buyer: { holdings: Holdings; user: string; random: SeededRandom; isOver: () => boolean; onRefused: () => void },
): Promise<void> {
  const { holdings, user, random, isOver, onRefused } = buyer
  while (!isOver()) {
    const reply = await tryToHold(shop, user, 1 + random.below(items - lateItems))
    if (reply.status !== 200) {
      if (reply.json?.['code'] === 'user_limit_reached') onRefused()
      continue
    }
    const code = codeOf(reply)
    holdings.note(user, code, Date.parse(String(reply.json?.['expires_at'])))
    // The last right stays for later: it must be found again.
    if (random.chance(0.2) && holdings.bought(user) < shop.limit - 1) await redeem(shop, holdings, user, code)
  }
}

async function killWorkers({ cluster }: Shop): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await delay(killEveryMs)
    const victim = await eventually(() => childrenOf(cluster.pid, /server\/worker\/main/)[kill % 2])
    process.kill(victim, 'SIGKILL')
  }
}

/**
 * What was seen live in one shard is still live when the next one is read, if it ends after that: so these are holds and
 * purchases of one moment.
 */
async function assertWithinLimit({ stores, sale, limit }: Shop): Promise<void> {
  const found: { user: string; untilMs: number }[] = []
  let nowMs = 0
  for (const store of stores) {
    const part = decodeSnapshot(await store.snapshot(sale))
    assert.ok(part)
    ;({ nowMs } = part)
    for (const { user } of part.sold.values()) found.push({ user, untilMs: forGood })
    for (const { user, expiresAtMs } of part.held.values()) found.push({ user, untilMs: expiresAtMs })
  }
  const counts = new Map<string, number>()
  for (const { user, untilMs } of found) if (untilMs > nowMs) counts.set(user, (counts.get(user) ?? 0) + 1)
  for (const [user, count] of counts) assert.ok(count <= limit, `${user} has ${count} holds and purchases in Redis`)
}

async function watchRedis(shop: Shop, isOver: () => boolean): Promise<number> {
  let looks = 0
  while (!isOver()) {
    try {
      await assertWithinLimit(shop)
      looks++
    } catch (error) {
      // On a busy machine an answer of Redis may come too late: that was no look.
      if (!(error instanceof Fault)) throw error
    }
    await delay(retryDelayMs)
  }
  return looks
}

/** Buys up to the limit at one shard alone, each right from wherever it is, and is refused at every shard then. */
async function buyTheRest(
  shop: Shop,
  holdings: Holdings,
  { user, at, fresh }: { user: string; at: number; fresh: Iterator<number> },
): Promise<void> {
  for (let bought = holdings.bought(user); bought < shop.limit; ) {
    const item = nextAt(fresh, at)
    const reply = await tryToHold(shop, user, item)
    // On a busy machine the hold may have run out before its purchase came.
    assert.equal(reply.status, 200, `${user} has ${bought}, and item ${item}: ${reply.text}`)
    if (await redeem(shop, holdings, user, codeOf(reply))) bought++
    else await noHolds(shop)
  }
  for (const shard of shardNumbers(shards)) {
    const { json } = await tryToHold(shop, user, nextAt(fresh, shard))
    assert.equal(json?.['code'], 'user_limit_reached', `${user} at shard ${shard}`)
  }
}

function nextAt(fresh: Iterator<number>, shard: number): number {
  for (;;) {
    const { value, done } = fresh.next()
    assert.ok(done !== true, 'there are enough items')
    if (shardOf(value, shards) === shard) return value
  }
}

function noHolds({ stores, sale }: Shop): Promise<unknown> {
  return eventually(async () => {
    const states = await Promise.all(stores.map((store) => store.saleState(sale)))
    return states.every((state) => state?.held === 0)
  })
}

for (const limit of [1, 3, 10]) {
  test(`with a limit of ${limit} nobody exceeds it and no right gets lost, though workers die (SEED=${seed})`, async (t) => {
    const shop = await openShop(t, limit)
    const holdings = new Holdings(limit)
    const random = new SeededRandom(seed + limit)
    const users = Array.from({ length: userCount }, (_, n) => `user-${n}`)
    assert.equal(new Set(users.map((user) => homeShard(user, shards))).size, shards, 'they begin everywhere')

    let isOver = false
    let refused = 0
    const buying = users.flatMap((user) =>
      Array.from({ length: buyersPerUser }, () =>
        shopGreedily(shop, {
          holdings,
          user,
          random: new SeededRandom(random.below(2 ** 31)),
          isOver: () => isOver,
          onRefused: () => refused++,
        }),
      ),
    )
    const watching = watchRedis(shop, () => isOver)
    try {
      await killWorkers(shop)
      // What they have bought leaves less and less, so it comes, on a slow machine later.
      await eventually(() => refused > 0, { what: 'somebody who wants more than the limit' })
    } finally {
      isOver = true
    }
    await Promise.all(buying)
    const looks = await watching
    assert.ok(looks > 0, 'Redis was looked at meanwhile')

    await noHolds(shop)
    for (const [n, user] of users.entries()) {
      const late = Array.from({ length: lateItems }, (_, at) => items - lateItems + 1 + at)
      const fresh = late.filter((item) => Math.floor((item - 1) / shards) % userCount === n).values()
      await buyTheRest(shop, holdings, { user, at: n % shards, fresh })
    }
    await assertWithinLimit(shop)

    const audit = await runAuditJson(shop.cluster.env)
    assert.deepEqual(breachesIn(audit), {})
    assert.equal(audit.verdict, 'passed', audit.not_checked.join())
    const db = readFacts(shop.cluster.dataDir).postgres?.connection
    assert.ok(db)
    const purchases = openPostgres(t, db).query<{ user: string; count: number }>(
      'select user_id as user, count(*)::int from purchases group by user_id order by user_id',
    )
    assert.deepEqual(
      purchases,
      users.map((user) => ({ user, count: limit })),
    )
    t.diagnostic(`${refused} refusals of greedy users, ${looks} looks at Redis`)
  })
}
