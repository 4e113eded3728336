// Goal: a sale takes as many bytes as docs/OPERATING.md says, and the commands there show what is used.
// Method: a sale of a known size, decided in batches as a busy server makes them, in a Redis and a Postgres of its own.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import type { Redis } from 'ioredis'

import type { Postgres } from '../core/postgres/connection.ts'
import { type Buyers, startBuyers } from './helpers/buyers.ts'
import { startCluster } from './helpers/cluster.ts'
import { documentedChapter, runDocumented } from './helpers/documented.ts'
import { eventually } from './helpers/eventually.ts'
import { writePasswordFile } from './helpers/password-file.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { Shop } from './helpers/shop.ts'

const chapter = { path: 'docs/OPERATING.md', heading: 'Capacity' }
const items = 20_000
const batch = 64
/** What other engines and allocators may take more or less than those that were measured. */
const tolerance = 0.35

interface Bytes {
  readonly memory: number
  readonly log: number
  readonly file: number
}

async function measured(redis: Redis, log: string): Promise<Bytes> {
  const info = await redis.info()
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
  const used = await redis.call('MEMORY', 'USAGE', log, 'SAMPLES', '0')
  return { memory: field('used_memory'), log: Number(used), file: field('aof_current_size') }
}

async function decideAll(decide: (count: number, from: number) => Promise<unknown>): Promise<void> {
  for (let done = 0; done < items; done += batch) await decide(Math.min(batch, items - done), done + 1)
}

function tableBytes(record: Postgres, pattern: string): number {
  const text = `select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace and relname ~ $1`
  return record.query<{ bytes: number }>(text, [pattern])[0]?.bytes ?? 0
}

/** Copies all that waits, and answers what a table has grown by, an attempt. */
async function drained(t: TestContext, { redis, db, record, table }: DrainOptions): Promise<number> {
  const before = tableBytes(record, table)
  const persister = await startPersister(t, { db, redis: redis.connection, shardCount: 1 })
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  return (tableBytes(record, table) - before) / items
}

interface DrainOptions {
  readonly redis: Awaited<ReturnType<typeof startRedis>>
  readonly db: Awaited<ReturnType<typeof startPostgres>>['connection']
  readonly record: Postgres
  readonly table: string
}

/** The index that a day gets when it is over. */
function indexBytes(record: Postgres, table: string): number {
  const before = tableBytes(record, table)
  record.query('select index_attempts(day) from attempts_partitions group by day')
  return (tableBytes(record, table) - before) / items
}

/** By the first cell of its row: the numbers of the others. */
function documentedBytes(): Map<string, (number | undefined)[]> {
  const rows = documentedChapter(chapter).filter((line) => /^\| an? /.test(line))
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  return new Map(
    cells.map(([name = '', ...numbers]) => [name, numbers.map((text) => (text === '' ? undefined : Number(text)))]),
  )
}

async function rejectAll(shop: Shop): Promise<void> {
  await decideAll(async (count, from) => {
    const commands = Array.from({ length: count }, (_, n) => ({ item: from + n, user: `buyer-too-late-${10_000 + n}` }))
    const { outcomes } = await shop.decide(commands)
    assert.ok(outcomes.every((outcome) => outcome === 'item_sold'))
  })
}

test('an item, an attempt and a purchase take as many bytes as the document says', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const db = postgres.connection
  const record = newRecord(t, db)
  const buyers: Buyers = await startBuyers(t, redis.connection, items)
  const admin = await openRedis(t, redis.admin)
  const { log } = buyers.store.keys
  const look = () => measured(admin, log)
  const opened = await look()
  await decideAll((count) => buyers.checkOut(count, 'buyer-of-sale-'))
  const held = await look()
  const checkoutRow = await drained(t, { redis, db, record, table: '^checkout_attempts_' })
  const afterHolds = await look()
  await decideAll((count) => buyers.purchase(count))
  const sold = await look()
  const purchaseRow = await drained(t, { redis, db, record, table: '^purchase_attempts_' })
  const afterSales = await look()
  const purchasesRow = tableBytes(record, '^purchases$') / items
  const shop = new Shop(buyers.store, Number(buyers.decided[0]?.item.split('-')[0]))
  await rejectAll(shop)
  const rejected = await look()
  const rejectedRow = await drained(t, { redis, db, record, table: '^checkout_attempts_' })
  const purchaseIndex = indexBytes(record, '^purchase_attempts_')

  const each = (from: number, to: number) => (to - from) / items
  const found: Record<string, readonly (number | undefined)[]> = {
    'an item that was sold, and its buyer': [
      each(opened.memory, afterSales.memory),
      undefined,
      purchasesRow,
      undefined,
    ],
    'an accepted checkout': [each(opened.log, held.log), each(opened.file, held.file), checkoutRow, purchaseIndex],
    'an accepted purchase': [
      each(afterHolds.log, sold.log),
      each(afterHolds.file, sold.file),
      purchaseRow,
      purchaseIndex,
    ],
    'a rejected checkout': [
      each(afterSales.log, rejected.log),
      each(afterSales.file, rejected.file),
      rejectedRow,
      purchaseIndex,
    ],
  }
  t.diagnostic(JSON.stringify(found))
  const said = documentedBytes()
  assert.deepEqual([...said.keys()], Object.keys(found))
  for (const [name, numbers] of Object.entries(found)) {
    for (const [column, bytes] of numbers.entries()) {
      const documented = said.get(name)?.[column]
      const isNear = bytes === documented || Math.abs((bytes ?? 0) - (documented ?? 0)) <= (documented ?? 0) * tolerance
      assert.ok(isNear, `${name}, column ${column + 1}: ${bytes}, and the document says ${documented}`)
    }
  }
})

test('the commands show what is used, and a server has the connections that the document says', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const db = postgres.connection
  const cluster = await startCluster(t, { env: { ...servicesEnv({ redis: redis.connection, db }), APP_WORKERS: '2' } })
  const shown = await runDocumented(chapter, {
    REDIS_HOST: redis.connection.host,
    REDIS_PORT: String(redis.connection.port),
    REDISCLI_AUTH: redis.admin.password,
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    PGPASSFILE: writePasswordFile(join(temporaryFolder(t), 'pgpass'), db),
    METRICS: cluster.metricsUrl,
  })
  for (const pattern of [
    /^used_memory:\d+/m,
    /^maxmemory:\d+/m,
    /^aof_current_size:\d+/m,
    /^maxclients:\d+/m,
    /^ purchases +\| \d+ \w+ +\| +\d+$/m,
    /^ +\d+ \| \d+$/m,
    /^hotcakes_log_backlog_entries\{shard="0"\} \d+$/m,
    /^hotcakes_http_connections/m,
    /^hotcakes_process_resident_memory_bytes\{/m,
    /^worker \d+: \d+ of \d+ descriptors$/m,
  ])
    assert.match(shown, pattern)
  const admin = await openRedis(t, redis.admin)
  // The persister connects once it runs, whether the server sells by then or not.
  await eventually(
    async () => {
      const clients = String(await admin.client('LIST')).split('\n')
      assert.equal(clients.filter((line) => line.includes(' user=hotcakes ')).length, 2 + 3, clients.join('\n'))
      return true
    },
    { what: 'the connections' },
  )
  assert.equal((await cluster.stop()).code, 0)
})
