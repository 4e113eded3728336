// Goal: that an item is sold is final within an epoch of the log, and nothing of it is believed in another one.
// Method: batches whose checkouts are sent as those of sold items, to a real Redis, which says what it has read. Then a worker
// that has seen items sold, while its Redis loses everything and decides in a new epoch: the same items are free.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { BatchReader, BatchWriter, DecisionReader } from '../core/decisions.ts'
import { nonceLength } from '../core/ids.ts'
import { outcomes } from '../core/outcomes.ts'
import { functionName } from '../core/redis/library.ts'
import type { SaleStore } from '../core/redis/sale-store.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { openRedis, startRedis } from './helpers/services.ts'
import { connectShards, intervalMs, openEverywhere } from './helpers/sharded-sale.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const redis = await startRedis({ after })
const admin = await openRedis({ after }, redis.admin)
const [only, ...others] = await connectShards({ after }, redis.connection, 3)
assert.ok(only)
const hourMs = 3_600_000
let saleNext = 1
let nonceNext = 0

function newNonce(): string {
  return String(nonceNext++).padStart(nonceLength, 'n')
}

async function openSale(closesInMs = hourMs, shards = 1): Promise<number> {
  const sale = saleNext++
  const { nowMs } = await (only as SaleStore).logState()
  const times = { opensAtMs: nowMs - 1_000, closesAtMs: nowMs + closesInMs }
  await openEverywhere([only as SaleStore, ...others], {
    sale,
    items: 99,
    userLimit: 9,
    holdMs: 600_000,
    shards,
    ...times,
  })
  return sale
}

type Command = readonly [index: string, user: string, nonce?: string | undefined]

/** `sold` go last, as checkouts of items that were sold in `epoch`. */
async function decide(
  store: SaleStore,
  sale: number,
  { commands = [], sold = [], epoch = 1 }: { commands?: readonly Command[]; sold?: readonly Command[]; epoch?: number },
): Promise<{ outcomes: string[]; id: string; nonces: string[] }> {
  const writer = new BatchWriter(intervalMs, epoch)
  const nonces = [...commands, ...sold].map(([, , nonce]) => nonce ?? newNonce())
  for (const [at, [index, user]] of commands.entries()) writer.add(sale, index, nonces[at] as string, user)
  for (const [at, [index, user]] of sold.entries())
    writer.addSold(sale, index, nonces[commands.length + at] as string, user)
  const { results, id } = await store.decide(writer.encode())
  const reader = new DecisionReader(results)
  const decided: string[] = []
  while (reader.next()) decided.push(reader.reply)
  return { outcomes: decided, id, nonces }
}

async function sell(store: SaleStore, sale: number, ...indexes: string[]): Promise<void> {
  const held = await decide(store, sale, { commands: indexes.map((index) => [index, 'buyer'] as const) })
  const bought = indexes.map((index, at) => [index, '', held.nonces[at]] as const)
  const { outcomes: got } = await decide(store, sale, { commands: bought })
  assert.deepEqual(
    got,
    indexes.map(() => 'purchased'),
  )
}

/** How often a call has read fields of hashes: HMGET, which is all that decide reads with. */
async function hmgets(): Promise<number> {
  return Number(/cmdstat_hmget:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
}

test('a checkout of a sold item gets what it gets without that knowledge, is counted and on record', async () => {
  const sale = await openSale()
  await sell(only, sale, '1', '2')
  const plain = await decide(only, sale, {
    commands: [
      ['1', 'ann'],
      ['2', 'buyer'],
    ],
  })
  const known = await decide(only, sale, {
    commands: [['3', 'ann']],
    sold: [
      ['1', 'ann'],
      ['2', 'buyer'],
    ],
  })
  assert.deepEqual(plain.outcomes, ['item_sold', 'item_sold'])
  assert.deepEqual(known.outcomes, ['held', 'item_sold', 'item_sold'])
  const counted = (await only.saleCounts(sale))?.counts.get(outcomes.item_sold.code)
  assert.equal(counted, 4)

  const [[, fields] = assert.fail()] = await only.redis.xrangeBuffer(only.keys.log, known.id, known.id)
  const [commands, decisions] = [new BatchReader(fields[1] as Buffer), new DecisionReader(fields[3] as Buffer)]
  const recorded: string[] = []
  while (commands.next() && decisions.next())
    recorded.push(`${commands.index} ${commands.nonce} ${commands.user} ${decisions.outcome}`)
  assert.deepEqual(recorded, [
    `3 ${known.nonces[0]} ann held`,
    `1 ${known.nonces[1]} ann item_sold`,
    `2 ${known.nonces[2]} buyer item_sold`,
  ])
})

test('no item and no buyer is read for it', async () => {
  const sale = await openSale()
  await sell(only, sale, '1')
  const before = await hmgets()
  await decide(only, sale, {
    sold: [
      ['1', 'ann'],
      ['1', 'bob'],
    ],
  })
  assert.equal(await hmgets(), before + 1, 'the list of sales')
  await decide(only, sale, { commands: [['1', 'ann']] })
  assert.equal(await hmgets(), before + 3, 'the list and the item: of what is sold no buyer is read either way')
})

test('that the sale is over goes before it, and so does that it is not listed', async (t) => {
  const sale = await openSale()
  await sell(only, sale, '1')
  const clock = await stepRedisClock(admin)
  t.after(() => clock.set(0))
  await clock.set(2 * hourMs)
  const late = await decide(only, sale, { commands: [['1', 'ann']], sold: [['1', 'ann']] })
  assert.deepEqual(late.outcomes, ['sale_closed', 'sale_closed'])
  await clock.set(-2 * hourMs)
  const early = await decide(only, sale, { sold: [['1', 'ann']] })
  assert.deepEqual(early.outcomes, ['item_sold'], 'an item that exists: time stands still at the opening')
  const elsewhere = await decide(only, 999, {
    sold: [
      ['1', 'ann'],
      ['1', 'bob'],
    ],
  })
  assert.deepEqual(elsewhere.outcomes, ['sale_gone', 'sale_gone'])
})

test('what was sold in another epoch is looked at: free items are held, by whoever asks first', async () => {
  const sale = await openSale()
  await sell(only, sale, '1')
  for (const epoch of [0, 2]) {
    const items = {
      commands: [
        ['1', 'ann'],
        ['2', ''],
      ],
      sold: [
        [`${3 + epoch}`, 'ann'],
        ['1', 'ann'],
      ],
      epoch,
    } as const
    const { outcomes: got, nonces } = await decide(only, sale, items)
    assert.deepEqual(got, ['item_sold', 'code_unknown', 'held', 'item_sold'])
    const bought = await decide(only, sale, { commands: [[`${3 + epoch}`, '', nonces[2]]] })
    assert.deepEqual(bought.outcomes, ['purchased'], 'with the nonce that it was sent with')
  }
})

test('of several shards each knows its own, and half a shard decides nothing on what was sold either', async () => {
  const sale = await openSale(hourMs, 3)
  const second = others[0] ?? assert.fail()
  await sell(second, sale, '2')
  const known = await decide(second, sale, { commands: [['3', 'ann']], sold: [['2', 'ann']] })
  assert.deepEqual(known.outcomes, ['misplaced', 'item_sold'])
  const { prefix } = second.keys
  await admin.rename(`${prefix}sale:${sale}:counts`, `${prefix}gone`)
  await assert.rejects(decide(second, sale, { sold: [['2', 'ann']] }), { code: 'HC_RECORD_UNSOUND' })
})

test('a worker that has seen an item sold has its Redis asked without a look, and forgets it when Redis does', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env: { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) } })
  const sale = await currentSale(worker)
  const item = `${sale}-7`
  const boss = await openRedis(t, own.admin)
  const reads = async () => Number(/cmdstat_hmget:calls=(\d+)/.exec(await boss.info('commandstats'))?.[1] ?? 0)
  const bought = await purchase(worker, await hold(worker, 'ann', item))
  assert.equal(bought.status, 200)
  const before = await reads()
  const calls = 20
  for (let n = 0; n < calls; n++)
    assertProblem(await checkout(worker, n % 2 === 0 ? 'bob' : 'ann', item), 409, 'item_sold')
  // Other calls of the worker's read with HMGET as well, once a second.
  assert.ok((await reads()) - before < 2 * calls, 'a look at the item each time would be twice as many')

  const { terms } = (await worker.store.someItems(sale, 1, 1)) ?? assert.fail()
  const lost = boss.multi()
  lost.del(...(await boss.keys('{hotcakes:0}:*')))
  const { keys } = worker.store
  lost.call('FCALL', functionName('claim_epoch'), 2, keys.sales, keys.log, 2, worker.store.run, '')
  await lost.exec()
  await worker.store.openSale(terms, 600)
  await hold(worker, 'bob', item)
})
