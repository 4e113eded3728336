// Goal: whoever follows the cursor of the purchases gets each one once, in the order of its log, whatever the logs look like.
// Method: logs of one and three shards with several epochs, gaps and long stretches without a purchase are written to Postgres as
// persisters write them, while readers of any page size read. What they got is held against the table.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { purchasesPageBytesMax } from '../core/limits.ts'
import { AsyncPostgres } from '../core/postgres/async-postgres.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import { toldPurchase } from '../core/purchases/recorded-purchase.ts'
import { shardNumbers } from '../core/shards.ts'
import { parseCursor } from '../server/primary/purchases/cursor.ts'
import { PurchaseFeed, type PurchasesPage } from '../server/primary/purchases/feed.ts'
import { windowsOfOne, windowsOfSeveral } from '../server/primary/purchases/statements.ts'
import { eventually } from './helpers/eventually.ts'
import { startInstallation } from './helpers/installation.ts'
import { newRecord, openPostgres } from './helpers/record.ts'
import { seed } from './helpers/seed.ts'
import { startPostgres } from './helpers/services.ts'
import { dropShard } from './helpers/shard-data.ts'

const { connection: db } = await startPostgres({ after })
const limits = [1, 2, 7, 100, 1_000]
/** Between two entries with purchases: mostly none, and now and then more than any one look goes through. */
const gaps = [...Array<number>(60).fill(1), 3, 3, 40, 40, 700, 9_000, 9_000, 5_000_000]

function startFeed(t: TestContext): PurchaseFeed {
  const postgres = new AsyncPostgres(db, { applicationName: 'hotcakes test', connectionsMax: 1, deadlineMs: 60_000 })
  t.after(() => postgres.close())
  return new PurchaseFeed(postgres)
}

/** Logs that grow as those of persisters do: rows and offset in one transaction, each shard by itself. */
class Logs {
  readonly #postgres: Postgres
  readonly #random: SeededRandom
  readonly #heads: { epoch: number; seq: number }[]
  readonly #nextItem: number[]
  /** The newest epoch of each shard that has begun. */
  readonly #newest: number[] = []

  constructor(postgres: Postgres, random: SeededRandom, shards: number) {
    this.#postgres = postgres
    this.#random = random
    this.#heads = shardNumbers(shards).map(() => ({ epoch: 0, seq: 0 }))
    this.#nextItem = shardNumbers(shards).map((shard) => shard + 1)
    postgres.query(
      `insert into sales (sale_id, opens_at, closes_at, items, user_limit, hold_seconds, shards)
       values (7, now(), now() + interval '1 hour', 1000000, 10, 600, $1)`,
      [shards],
    )
    for (const shard of shardNumbers(shards)) this.begin(shard, false)
  }

  get shards(): number {
    return this.#heads.length
  }

  /** A new epoch. After a rebuild the offset is at its beginning, and nobody knows where the one before ended. */
  begin(shard: number, isWhole: boolean): void {
    const head = this.#heads[shard] ?? assert.fail()
    const epoch = Math.max(head.epoch, this.#newest[shard] ?? 0) + 1 + this.#random.below(2)
    this.#newest[shard] = epoch
    this.#postgres.query(
      'insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values ($1, $2, $3, $4, $5)',
      [shard, epoch, `run-${shard}-${epoch}`, isWhole ? head.epoch : null, isWhole ? head.seq : null],
    )
    if (isWhole) return
    this.#postgres.query('update log_offsets set epoch = $1, seq = 0 where shard = $2', [epoch, shard])
    this.#heads[shard] = { epoch, seq: 0 }
  }

  /** A transaction of a persister: some entries, of which most have no purchase. */
  copy(shard: number, purchases: number, { commit = true } = {}): void {
    const head = this.#heads[shard] ?? assert.fail()
    const rows: string[] = []
    let { epoch, seq } = head
    const [next] = this.#postgres.query<{ epoch: number }>(
      'select min(epoch)::int as epoch from log_epochs where shard = $1 and epoch > $2 and after_epoch is not null',
      [shard, epoch],
    )
    if (next?.epoch) [epoch, seq] = [next.epoch, 0]
    for (let left = purchases; left > 0; ) {
      seq += this.#random.pick(gaps)
      const inEntry = Math.min(left, this.#random.between(1, 4))
      for (let n = 0; n < inEntry; n++) {
        const item = this.#nextItem[shard] ?? assert.fail()
        this.#nextItem[shard] = item + this.shards
        // Clocks differ, and step back.
        const at = new Date(1_000_000 * shard + 1_000 * this.#random.below(5_000)).toISOString()
        rows.push(`(7, ${item}, '${at}', ${epoch}, ${seq}, ${n * 2}, 'user-${item % 5}', 'N${item}')`)
      }
      left -= inEntry
    }
    seq += this.#random.below(3)
    this.#postgres.query('begin')
    this.#postgres.query('update log_offsets set epoch = $1, seq = $2 where shard = $3', [epoch, seq, shard])
    if (rows.length > 0) this.#postgres.query(`insert into purchases values ${this.#shuffled(rows).join(', ')}`)
    this.#heads[shard] = { epoch, seq }
    if (commit) this.#postgres.query('commit')
  }

  #shuffled(rows: readonly string[]): string[] {
    return rows
      .map((row) => ({ row, at: this.#random.next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ row }) => row)
  }
}

/** A reader that keeps nothing but its cursor. */
class Reader {
  readonly got: string[] = []
  cursor: string | undefined
  readonly #feed: PurchaseFeed

  constructor(feed: PurchaseFeed) {
    this.#feed = feed
  }

  async next(limit: number): Promise<PurchasesPage> {
    const cursor = this.cursor === undefined ? undefined : parseCursor(this.cursor)
    assert.equal(cursor === undefined, this.cursor === undefined, 'the cursor is one')
    const page = await this.#feed.page(cursor, limit)
    assert.ok(page.kind === 'page', JSON.stringify(page))
    const { purchases, next } = page
    assert.ok(purchases.length <= limit)
    this.got.push(...purchases.map((purchase) => toldPurchase(purchase).position))
    this.cursor = next
    return page
  }

  async toTheEnd(random: SeededRandom): Promise<void> {
    while ((await this.next(random.pick(limits))).hasMore);
  }
}

/** In the order of each log. */
function recorded(postgres: Postgres, shards: number): string[][] {
  const rows = postgres.query<{ shard: number; position: string }>(
    `select shard_of(item_index, $1::smallint, 21::smallint) as shard, epoch || '-' || batch || '-' || n as position
     from purchases order by epoch, batch, n`,
    [shards],
  )
  return shardNumbers(shards).map((of) =>
    rows.flatMap(({ shard, position }) => (shard === of ? [of === 0 ? position : `${of}:${position}`] : [])),
  )
}

function assertEachOnce(got: readonly string[], logs: readonly (readonly string[])[]): void {
  for (const [shard, log] of logs.entries()) {
    const own = got.filter((position) => (position.includes(':') ? Number(position.split(':')[0]) : 0) === shard)
    assert.deepEqual(own, log, `shard ${shard}`)
  }
}

for (const shards of [1, 3]) {
  test(`of ${shards} logs readers get each purchase once, in the order of its log (SEED=${seed})`, async (t) => {
    const random = new SeededRandom(seed + shards)
    const postgres = newRecord(t, db, { shards })
    const logs = new Logs(postgres, random, shards)
    const feed = startFeed(t)
    const readers = limits.map(() => new Reader(feed))
    for (let step = 0; step < 60; step++) {
      const shard = random.below(shards)
      if (random.chance(0.1)) logs.begin(shard, random.chance(0.5))
      else logs.copy(shard, random.pick([0, 1, 5, 60, 400]))
      if (random.chance(0.05)) postgres.query('vacuum purchases')
      const reader = random.pick(readers)
      await reader.next(random.pick(limits))
    }
    readers.push(new Reader(feed))
    const inPostgres = recorded(postgres, shards)
    assert.ok(inPostgres.flat().length > 500)
    for (const reader of readers) {
      await reader.toTheEnd(random)
      assertEachOnce(reader.got, inPostgres)
      assert.deepEqual((await reader.next(1_000)).purchases, [], 'nothing comes twice')
    }
  })
}

test('what is committed late comes late: another shard that was quicker hides nothing', async (t) => {
  const postgres = newRecord(t, db, { shards: 3 })
  const random = new SeededRandom(seed)
  const logs = new Logs(postgres, random, 3)
  const reader = new Reader(startFeed(t))
  logs.copy(1, 5, { commit: false })
  const other = openPostgres(t, db)
  other.query('update log_offsets set seq = 9 where shard = 2')
  other.query(
    `insert into purchases values (7, 3, now(), (select epoch from log_offsets where shard = 2), 9, 0, 'bob', 'Z')`,
  )
  await reader.toTheEnd(random)
  assert.equal(reader.got.length, 1)
  postgres.query('commit')
  await reader.toTheEnd(random)
  assert.equal(reader.got.length, 6)
  assertEachOnce(reader.got, recorded(postgres, 3))
})

test('a shop that grows to three shards goes on with the cursors that its readers have', async (t) => {
  const postgres = newRecord(t, db)
  const random = new SeededRandom(seed)
  const logs = new Logs(postgres, random, 1)
  const reader = new Reader(startFeed(t))
  logs.copy(0, 50)
  await reader.toTheEnd(random)
  assert.equal(reader.got.length, 50)
  postgres.query(
    `insert into log_offsets (shard, epoch, seq, record) select s, 1, 4, record from log_offsets, generate_series(1, 2) s`,
  )
  postgres.query(`insert into sales select 8, opens_at, closes_at, items, user_limit, hold_seconds, 3 from sales`)
  const head = `(select epoch from log_offsets where shard = 0), (select seq + 1 from log_offsets where shard = 0)`
  postgres.query(
    `insert into purchases values (8, 2, now(), 1, 3, 0, 'ann', 'A'), (8, 3, now(), 1, 4, 0, 'ann', 'B'), (8, 1, now(), ${head}, 0, 'ann', 'C')`,
  )
  postgres.query('update log_offsets set seq = seq + 1 where shard = 0')
  await reader.toTheEnd(random)
  assert.deepEqual(
    reader.got.slice(50).filter((position) => position.includes(':')),
    ['1:1-3-0', '2:1-4-0'],
  )
  assert.equal(reader.got.length, 53)
})

test('a page ends before it has too many bytes, and the next one goes on there', async (t) => {
  const postgres = newRecord(t, db, { shards: 3 })
  const random = new SeededRandom(seed)
  const logs = new Logs(postgres, random, 3)
  for (const shard of shardNumbers(3)) logs.copy(shard, 300)
  // About the longest that the index on buyers takes.
  const length = 2_500
  postgres.query(`update purchases set user_id = repeat('x', $1)`, [length])
  const feed = startFeed(t)
  // The search for a page has a bound in time as well, and what a busy machine finds by then may be less: then it is read again.
  const { reader, page, bytes } = await eventually(
    async () => {
      const first = new Reader(feed)
      const found = await first.next(1_000)
      const size = found.purchases.reduce((sum, each) => sum + JSON.stringify(toldPurchase(each)).length, 0)
      const isFull = size > purchasesPageBytesMax - 2 * length - 400 * 300
      return isFull ? { reader: first, page: found, bytes: size } : undefined
    },
    { what: 'a page that is full' },
  )
  assert.ok(page.hasMore)
  assert.ok(bytes <= purchasesPageBytesMax, `${bytes}`)
  await reader.toTheEnd(random)
  assertEachOnce(reader.got, recorded(postgres, 3))
})

test('a shard that has forgotten takes nothing back: what was lost with its epoch was never given', async (t) => {
  const installation = await startInstallation(t, db, 3)
  const { admin, postgres } = installation
  await installation.admit()
  const sale = await installation.open()
  const buy = async (item: number, user: string) => {
    const { reply, nonce } = await sale.checkOut(user, item)
    assert.deepEqual([reply, await sale.purchase(item, nonce)], ['held', 'purchased'])
  }
  for (const item of [1, 2, 3]) await buy(item, 'ann')
  await installation.drain()
  const reader = new Reader(startFeed(t))
  await reader.toTheEnd(new SeededRandom(seed))
  assert.equal(reader.got.length, 3)

  for (const item of [4, 5, 6]) await buy(item, 'bob')
  await reader.next(100)
  assert.equal(reader.got.length, 3, 'what is in Redis alone is told to nobody')
  await dropShard(admin, 1)
  await eventually(async () => {
    const admissions = await installation.admit()
    assert.ok(admissions !== 'busy')
    if (admissions[1]?.kind !== 'rebuilt') await installation.drain()
    return admissions[1]?.kind === 'rebuilt'
  })
  await buy(5, 'cid') // it is on sale again
  await installation.drain()
  await reader.toTheEnd(new SeededRandom(seed))
  assertEachOnce(reader.got, recorded(postgres, 3))
  const [again, ...others] = postgres.query<{ user: string }>(
    'select user_id as user from purchases where item_index = 5',
  )
  assert.deepEqual([again?.user, others, reader.got.length], ['cid', [], 6])
})

test('an older copy of Postgres is noticed by what the reader was given, even where numbers are given out again', async (t) => {
  const postgres = newRecord(t, db, { shards: 3 })
  const random = new SeededRandom(seed)
  const logs = new Logs(postgres, random, 3)
  const feed = startFeed(t)
  for (const shard of shardNumbers(3)) logs.copy(shard, 9)
  const tables = ['purchases', 'log_offsets', 'log_epochs']
  for (const table of tables) postgres.query(`create table copy_of_${table} as table ${table}`)
  const before = new Reader(feed)
  await before.toTheEnd(random)
  logs.copy(1, 9)
  const reader = new Reader(feed)
  await reader.toTheEnd(random)
  const why = async ({ cursor = '' }: Reader = reader) => {
    const page = await feed.page(parseCursor(cursor), 10)
    return page.kind === 'page' ? page.kind : `${page.kind}: ${page.detail}`
  }
  assert.equal(await why(), 'page')
  for (const table of tables) postgres.query(`truncate ${table}; insert into ${table} table copy_of_${table}`)
  assert.match(await why(), /^record_rewound: .* Shard 1: The cursor is at /)
  assert.equal(await why(before), 'page', 'who had got no further goes on')

  // It goes on from there in other epochs; the numbers are soon as high as they were.
  postgres.query(
    `insert into log_epochs (shard, epoch, run) select 1, epoch + 1, 'another' from log_offsets where shard = 1`,
  )
  postgres.query('update log_offsets set epoch = epoch + 1, seq = 90 where shard = 1')
  assert.match(await why(), /^record_rewound: .* Shard 1: The item 7-\d+, which the reader was given, is not sold\.$/)
  const sold = Number(/The item 7-(\d+)/.exec(await why())?.[1])
  postgres.query(
    `insert into purchases select 7, $1::bigint, now(), epoch, 90, 0, 'eve', 'again' from log_offsets where shard = 1`,
    [sold],
  )
  assert.match(
    await why(),
    /^record_rewound: .* Shard 1: What is on record up to .* is not what the reader was given\.$/,
  )
  assert.equal(await why(before), 'page')

  postgres.query(`update log_offsets set record = gen_random_uuid()`)
  assert.match(await why(before), /^cursor_foreign: /)
  postgres.query(
    'delete from log_offsets where shard = 2; update log_offsets set record = (select record from copy_of_log_offsets limit 1)',
  )
  assert.match(await why(before), /^record_rewound: .* There is no such shard\.$/)
})

test('an epoch that another run of Redis began under the same number is told from the one that was read', async (t) => {
  const postgres = newRecord(t, db)
  const random = new SeededRandom(seed)
  const logs = new Logs(postgres, random, 1)
  logs.copy(0, 3)
  logs.begin(0, false)
  const reader = new Reader(startFeed(t))
  await reader.toTheEnd(random)
  postgres.query(`update log_epochs set run = 'another' where epoch = (select epoch from log_offsets)`)
  const page = await startFeed(t).page(parseCursor(reader.cursor ?? ''), 10)
  assert.equal(page.kind, 'record_rewound')
})

test('a look reads the part of the table that it needs, by the index on places, in a shop of one shard and of several', (t) => {
  const postgres = newRecord(t, db, { shards: 3 })
  // As the logs of three shards lie there, of which one is far ahead of the others.
  postgres.query(`insert into sales select 7, now(), now(), 300000, 10, 600, 3`)
  postgres.query(`insert into purchases
    select 7, i, now(), 1 + i % 3, i / 30 + (i % 3 = 0)::int * 1000000, i % 10, 'user', 'N' from generate_series(1, 200000) i`)
  postgres.query('vacuum analyze purchases, sales')
  const total = Number(
    postgres.query<{ pages: string }>(`select pg_relation_size('purchases') / 8192 as pages`)[0]?.pages,
  )
  postgres.query(`begin; select set_config('enable_seqscan', 'off', true)`)
  for (const { text } of [windowsOfOne, windowsOfSeveral]) {
    const windows = ['{1,2}', '{2,3}', '{3000,3000}', '{3,3}', '{3512,3512}', 100]
    const rows = postgres.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off, summary off) ${text}`, windows)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    assert.match(plan, /Bitmap Index Scan on purchases_position/)
    const blocks = [...plan.matchAll(/Heap Blocks:.*?lossy=(\d+)/g)].map(([, lossy]) => Number(lossy))
    const read = blocks.reduce((sum, each) => sum + each, 0)
    assert.ok(read > 0 && read < total / 2, `two looks read ${read} of ${total} pages\n${plan}`)
  }
  postgres.query('commit')
})
