import { exchangeUsersPerCall } from '../limits.ts'
import { callFunction, functionName } from '../redis/library.ts'
import type { SaleStore } from '../redis/sale-store.ts'

/** A buyer who takes up more at a shard than the rights there. */
interface ShortOfRights {
  readonly user: string
  readonly missing: number
}

/**
 * Makes the rights of shards that are about to be admitted together add up again, after each has been told what all others
 * know, and before the first of them is admitted: see functions/settling.lua. Needed for one alone too: it may be short
 * because of a clock that has stepped back.
 * @param waiting all shards that are to be admitted, none of which is
 * @returns how many buyers have more purchases than rights all the same: none, unless somebody gave up a shard for lost
 * @throws Fault HC_RECORD_UNSOUND when one of them was admitted meanwhile
 */
export async function settleRights(waiting: readonly SaleStore[], sale: number): Promise<number> {
  const short: SaleStore[] = []
  for (const store of waiting) {
    let missing = 0
    for await (const buyer of shortOfRights(store, sale, { cut: false })) {
      missing += await giveRights(waiting, sale, store, buyer)
    }
    if (missing > 0) short.push(store)
  }
  let buyersLeft = 0
  for (const store of short) {
    for await (const _ of shortOfRights(store, sale, { cut: true })) buyersLeft += 1
  }
  return buyersLeft
}

/** @returns how many are missing still */
async function giveRights(
  waiting: readonly SaleStore[],
  sale: number,
  to: SaleStore,
  { user, missing }: ShortOfRights,
): Promise<number> {
  let left = missing
  for (const giver of waiting) {
    if (giver === to || left === 0) continue
    const args = [giver.run, sale, to.shard, user, left]
    const reply = await callFunction(giver.redis, giver.keys, {
      name: functionName('rights_give'),
      args,
      sales: [sale],
    })
    const [given, total] = reply as [number, number]
    if (given > 0) await to.rights.restore(sale, giver.shard, [{ user, lent: 0, got: total }])
    left -= given
  }
  return left
}

/** @param options.cut whether they are what is left when their holds have been cut off */
async function* shortOfRights(
  { redis, keys, run }: SaleStore,
  sale: number,
  { cut }: { cut: boolean },
): AsyncGenerator<ShortOfRights> {
  let cursor = '0'
  do {
    const args = [run, sale, cursor, exchangeUsersPerCall, cut ? '1' : '']
    const reply = await callFunction(redis, keys, { name: functionName('rights_short'), args, sales: [sale] })
    const [next, ...flat] = reply as [Buffer, ...(Buffer | number)[]]
    for (let at = 0; at < flat.length; at += 2) yield { user: String(flat[at]), missing: flat[at + 1] as number }
    cursor = String(next)
  } while (cursor !== '0')
}
