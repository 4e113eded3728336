import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BatchReader, BatchWriter, DecisionReader, decodeOpenedSale, type SaleTerms } from '../core/decisions.ts'
import { nonceLength } from '../core/ids.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import { commandTimeoutMs, openRedis, startRedis } from './helpers/services.ts'

const intervalMs = 3_600_000
const ttlSeconds = 600
const redis = await startRedis({ after })
const admin = await openRedis({ after }, redis.admin)
const store = new SaleStore(redis.connection, { shard: firstShard, name: 'keys-test', commandTimeoutMs })
let nonceNext = 0

before(async () => {
  await store.connect()
  await store.claimEpoch(1)
})
after(() => store.close())

async function openSale(sale: number, holdMs: number): Promise<SaleTerms> {
  const { nowMs } = await store.logState()
  const terms = {
    sale,
    opensAtMs: nowMs - 1_000,
    closesAtMs: nowMs + intervalMs,
    items: 10,
    userLimit: 5,
    holdMs,
    shards: 1,
  }
  return (await store.openSale(terms, ttlSeconds)).terms
}

type Command = [index: string, user: string]

async function checkout(
  sale: number,
  commands: readonly Command[],
): Promise<{ batch: Buffer; id: string; outcomes: string[] }> {
  const writer = new BatchWriter(intervalMs)
  for (const [index, user] of commands) writer.add(sale, index, String(nonceNext++).padStart(nonceLength, '0'), user)
  const encoded = writer.encode()
  const { results, id } = await store.decide(encoded)
  const reader = new DecisionReader(results)
  const outcomes: string[] = []
  while (reader.next()) outcomes.push(reader.outcome)
  return { batch: encoded.entry, id, outcomes }
}

async function expiries(sale: number): Promise<Map<string, number>> {
  const prefix = `${store.keys.prefix}sale:${sale}:`
  const names = await admin.keys(`${prefix.replaceAll(/[{}]/g, String.raw`\$&`)}*`)
  const times = await Promise.all(names.map((name) => admin.expiretime(name)))
  return new Map(names.map((name, at) => [name.slice(prefix.length), times[at] as number]))
}

test('every key of a sale expires, the configured time after its last hold can have ended', async () => {
  const { closesAtMs, holdMs } = await openSale(1_001, 20)
  assert.deepEqual((await checkout(1_001, [['11', 'ann']])).outcomes, ['item_unknown'])
  assert.deepEqual([...(await expiries(1_001)).keys()], ['counts'])
  await checkout(1_001, [['1', 'ann']])
  await eventually(async () => (await checkout(1_001, [['1', 'bob']])).outcomes[0] === 'held', { what: 'the takeover' })

  const times = await expiries(1_001)
  assert.deepEqual(
    [...times.keys()].toSorted((a, b) => a.localeCompare(b)),
    ['counts', 'holds', 'items', 'lapsed', 'users'],
  )
  const expected = Math.ceil((closesAtMs + holdMs) / 1_000) + ttlSeconds
  for (const [name, time] of times) assert.equal(time, expected, name)
})

test('a count of holds that was cleared away expires like the others when it comes back', async () => {
  await openSale(1_002, 20)
  await checkout(1_002, [['1', 'ann']])
  const cleared = async (): Promise<boolean> => {
    await store.saleState(1_002)
    return !(await expiries(1_002)).has('holds')
  }
  await eventually(cleared, { what: 'the clearing of the past second' })
  await checkout(1_002, [['2', 'ann']])
  assert.ok(((await expiries(1_002)).get('holds') ?? -1) > 0)
})

test('the log holds each batch as it was sent and as it was answered, and each opening', async () => {
  const opened = await openSale(1_003, 1_000)
  const { batch, id, outcomes } = await checkout(1_003, [
    ['1', 'ann'],
    ['1', 'bob:2'],
    ['99', 'ann'],
  ])
  const entries = await store.redis.xrangeBuffer(store.keys.log, '-', '+')
  const [logged, previous] = [entries.at(-1), entries.at(-2)]
  assert.ok(logged && previous)
  assert.equal(String(logged[0]), id)
  assert.deepEqual(
    logged[1].map(String).filter((_, at) => at % 2 === 0),
    ['b', 'r'],
  )
  assert.deepEqual(logged[1][1], batch)

  const [commands, decisions] = [new BatchReader(batch), new DecisionReader(logged[1][3] as Buffer)]
  const read: string[] = []
  while (commands.next() && decisions.next()) read.push(`${commands.user} ${decisions.outcome}`)
  assert.deepEqual(read, ['ann held', 'bob:2 item_held', 'ann item_unknown'])
  assert.deepEqual(outcomes, ['held', 'item_held', 'item_unknown'])

  assert.equal(String(previous[1][0]), 'o')
  const { openedAtMs, ...terms } = decodeOpenedSale(previous[1][1] as Buffer)
  assert.deepEqual(terms, opened)
  assert.ok(openedAtMs > opened.opensAtMs)
})

test('entries are numbered from 1 without gaps', async () => {
  const ids = (await store.redis.xrange(store.keys.log, '-', '+')).map(([id]) => id)
  assert.deepEqual(
    ids,
    ids.map((_, at) => `1-${at + 1}`),
  )
})

test('sales whose keys have expired leave the list while others open, however many are listed', async () => {
  const { nowMs } = await store.logState()
  const [first, count] = [2_000_000, 5_000]
  const expired = Array.from({ length: count }, (_, n) => [String(first + n), '1000,2000,10,5,1000,1000']).flat()
  await admin.hset(store.keys.sales, ...expired)
  const listed = async () =>
    (await store.listSales()).filter(({ sale }) => sale >= first && sale < first + count).length
  assert.equal(await listed(), count)
  let opened = 0
  for (let left = count; left > 0 && opened < count / 10; opened++) {
    const terms = { opensAtMs: nowMs, closesAtMs: nowMs + intervalMs, items: 1, userLimit: 1, holdMs: 1_000, shards: 1 }
    await store.openSale({ ...terms, sale: 3_000_000 + opened }, ttlSeconds)
    left = await listed()
  }
  assert.equal(await listed(), 0)
  assert.ok(opened > 1, 'it must not have read the whole list at once')
})
