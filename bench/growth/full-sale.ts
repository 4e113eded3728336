import { encodeUserEntry } from '../../core/redis/user-entry.ts'
import { type Range, Seller } from './seller.ts'
import type { Stage } from './stage.ts'

/** Buyers and items that one call is about. */
const perCall = 1_000
const callsAtOnce = 8
/** How a sale of one shard keeps a buyer who has given everything back. */
const idleEntry = encodeUserEntry({ purchases: 0, holdsExpireAtMs: [], rights: [] }, 0, 1)

/** What becomes of the items of a sale before it is loaded: every one has an entry then. */
export interface Ranges {
  readonly sold: Range
  /** To the end of the measurement, by buyers of their own: a request's buyer has nothing in hand. */
  readonly held: Range
  /** Held once, and given back. */
  readonly free: Range
}

export function rangesOf(items: number): Ranges {
  const [sold, held] = [Math.floor(items / 2), Math.floor(items / 4)]
  return {
    sold: { first: 1, count: sold },
    held: { first: sold + 1, count: held },
    free: { first: sold + held + 1, count: items - sold - held },
  }
}

/** As requests.lua names them: 1 to as many as there are. */
export function buyerName(number: number): string {
  return `user-${number}`
}

export interface FullSale {
  readonly items: number
  /** That have an entry, and that requests name. */
  readonly buyers: number
}

export async function fill(stage: Stage, { items, buyers }: FullSale, signal: AbortSignal): Promise<void> {
  const { sold, held, free } = rangesOf(items)
  const seller = new Seller(stage, signal)
  const buyerOf = (item: number): string => buyerName(1 + (item % buyers))
  await seller.sell(sold, buyerOf)
  await seller.hold(held, (item) => `keeper-${item}`)
  await seller.holdAndRelease(free, buyerOf)
  await addIdleBuyers(stage, buyers, signal)
  await stage.drained()
}

/**
 * All that have no entry yet get the one that a hold leaves which was given back. Written to Redis and not decided: ten million
 * such decisions would be twenty million rows of the record.
 */
async function addIdleBuyers({ store, sale }: Stage, buyers: number, signal: AbortSignal): Promise<void> {
  const key = store.keys.users(sale)
  const starts = Array.from({ length: Math.ceil(buyers / perCall) }, (_, at) => at * perCall).values()
  const add = async (): Promise<void> => {
    for (const start of starts) {
      signal.throwIfAborted()
      const names = Array.from({ length: Math.min(perCall, buyers - start) }, (_, n) => buyerName(start + n + 1))
      const entries = await store.redis.hmget(key, ...names)
      const missing = names.filter((_, n) => entries[n] === null)
      if (missing.length > 0) await store.redis.hset(key, ...missing.flatMap((name) => [name, idleEntry]))
    }
  }
  await Promise.all(Array.from({ length: callsAtOnce }, add))
}

/** Takes those away who have nothing in the sale: they say nothing, and an audit reads all at once. */
export async function removeIdleBuyers({ store, sale }: Stage, signal: AbortSignal): Promise<void> {
  const key = store.keys.users(sale)
  let cursor = '0'
  do {
    signal.throwIfAborted()
    const [next, flat] = await store.redis.hscanBuffer(key, cursor, 'COUNT', perCall)
    const idle = flat.filter((_, at) => at % 2 === 0 && flat[at + 1]?.equals(idleEntry) === true)
    if (idle.length > 0) await store.redis.hdel(key, ...idle)
    cursor = String(next)
  } while (cursor !== '0')
}

/** Gives back what a load has left in hand: answers that came when nobody asked any more. */
export async function giveBack(stage: Stage, { first, count }: Range, signal: AbortSignal): Promise<void> {
  const seller = new Seller(stage, signal)
  for (let done = 0; done < count; done += perCall) {
    signal.throwIfAborted()
    const some = await stage.store.someItems(stage.sale, first + done, Math.min(perCall, count - done))
    const { nowMs = 0, items = [] } = some ?? {}
    const left = items.flatMap((item, n) =>
      item?.state === 'held' && item.atMs > nowMs ? [{ item: first + done + n, nonce: item.nonce }] : [],
    )
    await seller.release(left)
  }
}
