// Goal: the rebuild of one shard leaves its part of each sale as its decisions had left it, byte for byte, rights that were lent
// and got included; the other shards go on selling, and nobody gets more than the limit.
// Method: random commands at three shards: checkouts that bring receipts along, loans, purchases, in a sale whose holds end at
// once and in one whose holds last, while Redis' clock steps. One shard is emptied and rebuilt.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Redis } from 'ioredis'
import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { afterNonce, BatchWriter, DecisionReader, lendNonce, type Receipt } from '../core/decisions.ts'
import { NonceSource } from '../core/ids.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { shardNumbers } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { assertRightsHold, type Installation, startInstallation } from './helpers/installation.ts'
import { openPostgres } from './helpers/record.ts'
import { seed } from './helpers/seed.ts'
import { startPostgres } from './helpers/services.ts'
import { dropShard } from './helpers/shard-data.ts'
import { SpreadSale, sellSpread } from './helpers/spread-sale.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const { connection: db } = await startPostgres({ after })
const shards = 3
const numbers = shardNumbers(shards)
const users = ['ann', 'bob', 'cid', 'dan', 'eve', 'fay']
/** Those that are asked for at random. Of each shard there is one more. */
const items = 36
const userLimit = 4
const rounds = 150

/** Commands as they come, in any order and with any news: what a worker would never do is decided as well. */
class RandomBuyers {
  readonly #sale: SpreadSale
  readonly #random: SeededRandom
  readonly #nonces = new NonceSource()
  readonly #offered: { index: string; nonce: string }[] = []
  /** Of each user. */
  readonly #receipts = new Map<string, (Receipt & { readonly to: number })[]>()

  constructor(sale: SpreadSale, random: SeededRandom) {
    this.#sale = sale
    this.#random = random
  }

  async batch(shard: number): Promise<void> {
    const commands = Array.from({ length: this.#random.between(1, 6) }, () => this.#command(shard))
    const batch = new BatchWriter(3_600_000)
    for (const { index, nonce, user } of commands) batch.add(this.#sale.sale, index, nonce, user)
    const { results } = await this.#sale.store(shard).decide(batch.encode())
    const decision = new DecisionReader(results)
    for (const { index, nonce, user } of commands) {
      decision.next()
      if (decision.reply === 'held') this.#offered.push({ index, nonce: nonce.slice(0, 16) })
      if (decision.reply === 'lent' || decision.reply === 'not_lent') this.#heard(user, shard, decision)
    }
  }

  /** Everything that was lent gets to where it went: afterwards nothing is under way. */
  async deliverAll(): Promise<void> {
    for (const user of users) {
      for (const from of numbers) {
        const [said] = await this.#sale.decide(from, [{ index: String(from), nonce: lendNonce, user }])
        assert.equal(said?.reply, 'not_lent')
        for (const to of numbers) {
          const receipt = { from, epoch: said?.epoch ?? 0, total: said?.lent[to] ?? 0 }
          if (to !== from)
            await this.#sale.decide(to, [{ index: String(to), nonce: lendNonce + afterNonce([receipt]), user }])
        }
      }
    }
  }

  #command(shard: number): { index: string; nonce: string; user: string } {
    const random = this.#random
    const user = random.pick(users)
    if (this.#offered.length > 0 && random.chance(0.1)) return { ...random.pick(this.#offered), user: '' }
    const news = (this.#receipts.get(user) ?? []).filter(({ to }) => to === shard && random.chance(0.7))
    const rest = afterNonce(news, { isLastWord: random.chance(0.2) })
    if (random.chance(0.25))
      return { index: String(random.between(0, shards - 1)), nonce: `${lendNonce}${afterNonce(news)}`, user }
    return { index: String(random.between(0, items)), nonce: `${this.#nonces.next()}${rest}`, user }
  }

  #heard(user: string, from: number, { epoch, lent }: DecisionReader): void {
    const known = this.#receipts.get(user) ?? []
    this.#receipts.set(user, known)
    for (const [to, total] of lent.entries()) if (total > 0) known.push({ from, epoch, total, to })
  }
}

/** Every key of a shard's sales and their list. */
async function readShard(redis: Redis, shard: number, nowMs: number): Promise<Record<string, readonly unknown[]>> {
  const { prefix } = shardKeys(shard)
  const found: Record<string, readonly unknown[]> = {}
  for (const name of (await redis.keys('*sale*')).filter((key) => key.startsWith(prefix)).toSorted()) {
    if ((await redis.type(name)) === 'set') {
      found[name] = [await redis.expiretime(name), (await redis.smembers(name)).toSorted()]
      continue
    }
    const fields = Object.entries(await redis.hgetallBuffer(name))
      .filter(([field, value]) => !isLeftAway(name, { field, value: String(value), nowMs }))
      .map(([field, value]) => `${field} ${name.endsWith(':counts') ? String(value) : value.toString('hex')}`)
    if (fields.length > 0) found[name] = [await redis.expiretime(name), fields.toSorted()]
  }
  return found
}

/** What a rebuild begins anew, or leaves away because it has no effect. */
function isLeftAway(key: string, { field, value, nowMs }: { field: string; value: string; nowMs: number }): boolean {
  if (key.endsWith(':holds')) return value === '0' || Number(field) < Math.floor(nowMs / 1_000)
  return key.endsWith('}:sales') && !/^\d+$/.test(field)
}

async function openTwo(installation: Installation): Promise<SpreadSale[]> {
  const sale = await installation.open({ items: items + shards, userLimit, holdMs: 25 })
  const terms = { ...sale.terms, sale: sale.sale + 1, holdMs: 600_000 }
  for (const store of installation.stores) await store.openSale(terms, 86_400)
  return [sale, new SpreadSale(installation.stores, terms)]
}

for (const lost of numbers) {
  test(`what is rebuilt of shard ${lost} is what was there (SEED=${seed})`, async (t) => {
    const installation = await startInstallation(t, db, shards)
    await installation.admit()
    const clock = await stepRedisClock(installation.admin)
    const random = new SeededRandom(seed + lost)
    const sales = await openTwo(installation)
    for (const sale of sales) {
      const buyers = new RandomBuyers(sale, random)
      for (let round = 0; round < rounds; round++) {
        await clock.set(random.between(-40, 40))
        await buyers.batch(random.below(shards))
      }
      // The others may have purchased all that they may have: a hold of the sale that goes on is to be rebuilt as well.
      assert.equal((await sale.checkOut('gil', items + lost + 1)).reply, 'held')
      await buyers.deliverAll()
    }
    await installation.drain()
    await clock.set(2_000)
    const { nowMs } = (await installation.stores[0]?.logState()) ?? { nowMs: 0 }
    const before = await Promise.all(numbers.map((shard) => readShard(installation.admin, shard, nowMs)))
    await dropShard(installation.admin, lost)
    await clock.set(2_000)
    const admissions = await installation.admit()
    assert.ok(admissions !== 'busy')
    assert.deepEqual(
      admissions.map(({ kind }) => kind),
      numbers.map((shard) => (shard === lost ? 'rebuilt' : 'unneeded')),
    )
    const rebuilt = await Promise.all(numbers.map((shard) => readShard(installation.admin, shard, nowMs)))
    assert.deepEqual(rebuilt, before)
    const [, second] = sales
    assert.ok(second)
    for (const user of users) await assertRightsHold(second, user)
    const { prefix } = shardKeys(lost)
    for (const part of ['items', 'users', 'counts', 'holds'])
      assert.ok(rebuilt[lost]?.[`${prefix}sale:${second.sale}:${part}`], part)
    const moved = installation.postgres.query('select distinct kind from right_transfers where shard = $1', [lost])
    assert.equal(moved.length, 2, 'the workload must move rights both ways')
    await new RandomBuyers(second, random).batch(lost) // its entries can be read
  })
}

test('while a shard is rebuilt the others sell and are drained', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open()
  await sellSpread(sale, ['ann', 'bob', 'cid'])
  await installation.drain()
  await dropShard(installation.admin, 1)
  // It reads nothing as long as somebody has the lock of its table, and then its own rows alone.
  const holder = openPostgres(t, db)
  holder.query('begin')
  holder.query('lock table sales in access exclusive mode')
  const rebuilding = installation.admit()
  const { admin } = installation
  const isEmptied = async () => (await admin.hget(shardKeys(1).sales, 'rebuild')) !== null
  await eventually(isEmptied, { what: 'a rebuild that has begun' })
  for (const shard of [0, 2]) {
    const { reply, nonce } = await sale.checkOut(`late-${shard}`, sale.nextItem(shard))
    assert.equal(reply, 'held')
    assert.equal(await sale.purchase(sale.nextItem(shard) - shards, nonce), 'purchased')
  }
  holder.query('commit')
  const admissions = await rebuilding
  assert.ok(admissions !== 'busy')
  assert.deepEqual(
    admissions.map(({ kind }) => kind),
    ['unneeded', 'rebuilt', 'unneeded'],
  )
  await sellSpread(sale, ['dan', 'eve', 'fay'])
  await installation.drain()
  for (const user of ['ann', 'bob', 'cid', 'dan', 'eve', 'fay', 'late-0', 'late-2']) await assertRightsHold(sale, user)
  const bought = 'select from purchases group by sale_id, user_id having count(*) > 3'
  assert.deepEqual(installation.postgres.query(bought), [])
})

test('all shards are rebuilt together, each from its own rows', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open()
  const buyers = ['ann', 'bob', 'cid', 'dan']
  await sellSpread(sale, buyers)
  await installation.drain()
  await installation.redis.loseDisk()
  await installation.redis.start()
  const admissions = await installation.admit()
  assert.ok(admissions !== 'busy')
  for (const admission of admissions) {
    assert.ok(admission.kind === 'rebuilt')
    const [row] = installation.postgres.query<{ sold: number }>(
      'select count(*)::int as sold from purchases where shard_of(item_index, 3::smallint, 21::smallint) = $1',
      [admission.shard],
    )
    assert.equal(admission.sold, row?.sold)
  }
  for (const user of buyers) {
    await assertRightsHold(sale, user)
    for (const shard of numbers)
      assert.equal((await sale.checkOut(user, sale.nextItem(shard))).reply, 'user_limit_reached')
  }
})
