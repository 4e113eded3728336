import { exchangeUsersPerCall } from '../limits.ts'
import { callFunction, functionName } from '../redis/library.ts'
import type { RightsOfUser } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'

/** A buyer who takes up more at a shard than the rights there. */
export interface ShortOfRights {
  readonly user: string
  readonly missing: number
}

/**
 * Makes the rights of shards that are about to be admitted together add up again, after each has been told what all others
 * know, and before the first of them is admitted: see functions/settling.lua. Needed for one alone too: it may be short
 * because of a clock that has stepped back.
 * @param waiting all shards that are to be admitted, none of which is
 * @param options.declaredLost what is still missing then, one of these must have lent, and is told so when it is back
 * @returns how many buyers have more purchases than rights all the same: none
 * @throws Fault HC_RECORD_UNSOUND when one of them was admitted meanwhile
 */
export async function settleRights(
  waiting: readonly SaleStore[],
  sale: number,
  { declaredLost = [] }: { declaredLost?: readonly number[] } = {},
): Promise<number> {
  const [lender] = declaredLost
  const short: SaleStore[] = []
  for (const store of waiting) {
    let isShort = false
    for await (const buyer of shortOfRights(store, sale, { cut: false })) {
      const missing = await takeRights(waiting, sale, store, buyer)
      if (missing === 0) continue
      if (lender === undefined) isShort = true
      else await owe(store, sale, lender, { user: buyer.user, missing })
    }
    if (isShort) short.push(store)
  }
  let buyersLeft = 0
  for (const store of short) {
    for await (const _ of shortOfRights(store, sale, { cut: true })) buyersLeft += 1
  }
  return buyersLeft
}

/** @returns how many are missing still */
async function takeRights(
  waiting: readonly SaleStore[],
  sale: number,
  to: SaleStore,
  buyer: ShortOfRights,
): Promise<number> {
  const restore = async (from: number, total: number): Promise<void> => {
    await to.rights.restore(sale, from, [{ user: buyer.user, lent: 0, got: total }])
  }
  return await giveRights(
    waiting.filter((giver) => giver !== to),
    { sale, to: to.shard, buyer, given: restore },
  )
}

interface Giving {
  readonly sale: number
  /** The shard. */
  readonly to: number
  readonly buyer: ShortOfRights
  /** How many one has given since the beginning, after it has given some now. */
  readonly given?: (from: number, total: number) => Promise<void>
}

/**
 * Lends the shard of the buyer's rights what is free at those that wait.
 * @returns how many are missing still
 */
export async function giveRights(givers: readonly SaleStore[], { sale, to, buyer, given }: Giving): Promise<number> {
  let left = buyer.missing
  for (const giver of givers) {
    if (left === 0) break
    const args = [giver.run, sale, to, buyer.user, left]
    const name = functionName('rights_give')
    const reply = await callFunction(giver.redis, giver.keys, { name, args, sales: [sale] })
    const [count, total] = reply as [number, number]
    if (count > 0) await given?.(giver.shard, total)
    left -= count
  }
  return left
}

/** What is missing counts as lent by a shard that was declared lost. */
async function owe(store: SaleStore, sale: number, lender: number, { user, missing }: ShortOfRights): Promise<void> {
  let got = 0
  for await (const users of rightsWith(store, { sale, peer: lender, isAdmitted: false })) {
    got = users.find((each) => each.user === user)?.got ?? got
  }
  await store.rights.restore(sale, lender, [{ user, lent: 0, got: got + missing }])
}

/** Everybody of whose rights a shard knows something that has to do with the peer, some at a time. */
export async function* rightsWith(
  store: SaleStore,
  { sale, peer, isAdmitted }: { sale: number; peer: number; isAdmitted: boolean },
): AsyncGenerator<RightsOfUser[]> {
  let cursor = '0'
  do {
    const page = await store.rights.with(sale, peer, { cursor, count: exchangeUsersPerCall, isAdmitted })
    yield page.users
    ;({ cursor } = page)
  } while (cursor !== '0')
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
