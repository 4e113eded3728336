import { setTimeout as delay } from 'node:timers/promises'
import { infoFields } from '../../core/redis/info.ts'
import { textTable } from '../../core/text-table.mjs'
import { formatCount } from '../report/format.ts'
import { buyerName } from './full-sale.ts'
import { type Range, Seller } from './seller.ts'
import { Stage } from './stage.ts'

/** Bytes in Redis, of a sale whose items are all alike: each is one buyer's, who has no other. */
export interface MemoryUse {
  /** By Redis' own count, without its buffers: of everything that an item with its buyer brings. */
  readonly all: number
  /** By key. */
  readonly item: number
  readonly buyer: number
}

export interface MemoryResult {
  readonly items: number
  readonly held: MemoryUse
  readonly sold: MemoryUse
  readonly auditPassed: boolean
}

interface Reading {
  readonly dataset: number
  readonly items: number
  readonly users: number
}

const perCall = 1_000
const looks = 20
const lookApartMs = 100

export async function measureMemory(
  items: number,
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<MemoryResult> {
  const stage = await Stage.open({ name: 'memory', items }, signal)
  try {
    const range: Range = { first: 1, count: items }
    const seller = new Seller(stage, signal)
    await stage.drained()
    const empty = await read(stage, range)
    await seller.hold(range, buyerName)
    await stage.drained()
    const held = await read(stage, range)
    await purchaseAll(stage, range, { seller, signal })
    await stage.drained()
    const sold = await read(stage, range)
    say(`${formatCount(items)} items: held and sold\n`)
    const auditPassed = await stage.server.audit(signal)
    const use = (reading: Reading): MemoryUse => ({
      all: (reading.dataset - empty.dataset) / items,
      item: reading.items / items,
      buyer: reading.users / items,
    })
    return { items, held: use(held), sold: use(sold), auditPassed }
  } finally {
    await stage.close()
  }
}

async function purchaseAll(
  { store, sale }: Stage,
  { first, count }: Range,
  { seller, signal }: { seller: Seller; signal: AbortSignal },
): Promise<void> {
  for (let done = 0; done < count; done += perCall) {
    signal.throwIfAborted()
    const some = await store.someItems(sale, first + done, Math.min(perCall, count - done))
    await seller.purchase(
      first + done,
      (some?.items ?? []).map((item) => item?.nonce ?? ''),
    )
  }
}

async function read(stage: Stage, { first, count }: Range): Promise<Reading> {
  const { store, sale } = stage
  const keys = { items: store.keys.items(sale), users: store.keys.users(sale) }
  // A hash that grows has two tables for a while, and each look-up moves a part of the smaller: as many looks as it has entries
  // end that.
  for (let done = 0; done < count; done += perCall) {
    const indexes = Array.from({ length: Math.min(perCall, count - done) }, (_, n) => first + done + n)
    await store.redis.hmget(keys.items, ...indexes.map(String))
    await store.redis.hmget(keys.users, ...indexes.map(buyerName))
  }
  const bytesOf = async (key: string): Promise<number> => (await store.redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0
  return {
    dataset: await leastDataset(stage),
    items: await bytesOf(keys.items),
    users: await bytesOf(keys.users),
  }
}

/** Buffers of connections are in it while Redis has not counted them yet: the least of some looks has the fewest. */
async function leastDataset({ store }: Stage): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < looks; look++) {
    const info = infoFields(await store.redis.info('memory'))
    least = Math.min(least, Number(info.get('used_memory_dataset')))
    await delay(lookApartMs)
  }
  return least
}

export function memoryProblems(results: readonly MemoryResult[]): string[] {
  return results
    .filter(({ auditPassed }) => !auditPassed)
    .map(({ items }) => `memory of ${formatCount(items)} items: the audit failed`)
}

export function memoryText(results: readonly MemoryResult[]): string {
  const row = ({ items, held, sold }: MemoryResult): string[] => [
    formatCount(items),
    ...[held, sold].flatMap(({ item, buyer, all }) => [item, buyer, all].map((bytes) => bytes.toFixed(0))),
  ]
  const head = ['items', 'held item', 'its buyer', 'both', 'sold item', 'its buyer', 'both']
  return [
    '\nbytes in Redis, each item a buyer of its own: by key (MEMORY USAGE), and of both by used_memory_dataset; the log is trimmed',
    '',
    ...textTable(head, results.map(row)),
    '',
  ].join('\n')
}
