import { exchangeUsersPerCall } from '../limits.ts'
import { callFunction, functionName } from '../redis/library.ts'
import type { RightsOfUser } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import type { LostRights } from './lost-rights.ts'

/** A buyer who takes up more at a shard than the rights there. */
interface ShortOfRights {
  readonly user: string
  readonly missing: number
}

type Short = ShortOfRights & { readonly store: SaleStore }

export interface SettleOptions {
  /** Those that were declared lost, as they will be when they are back, of these users too. Left out: there are none. */
  readonly lost?: ((users: Iterable<string>) => Promise<LostRights>) | undefined
  /** A shard of these. */
  readonly lender?: number | undefined
}

/**
 * Makes the rights of shards that are about to be admitted together add up again, after each has been told what all others
 * know, and before the first of them is admitted: see functions/settling.lua. Needed for one alone too: it may be short
 * because of a clock that has stepped back.
 * @param waiting all shards that are to be admitted, none of which is
 * @returns how many buyers have more purchases than rights all the same: none
 * @throws Fault HC_RECORD_UNSOUND when one of them was admitted meanwhile
 */
export async function settleRights(
  waiting: readonly SaleStore[],
  sale: number,
  { lost, lender }: SettleOptions = {},
): Promise<number> {
  let short = await giveToShort(waiting, sale)
  const back = await lost?.(short.map(({ user }) => user))
  if (back !== undefined) await giveToLost(waiting, sale, back)
  const surplus = holdsTooMany(short, back)
  let buyersLeft = 0
  for (const [user, count] of surplus) {
    if ((await cutHolds(waiting, sale, { user, count })) < count) buyersLeft += 1
  }
  if (surplus.size > 0) {
    short = await giveToShort(waiting, sale)
    if (back !== undefined) await giveToLost(waiting, sale, back)
  }
  if (lender !== undefined) for (const { store, ...buyer } of short) await owe(store, sale, lender, buyer)
  return buyersLeft
}

/** What is free where others wait. @returns who is short still, for whom nothing is free any more */
async function giveToShort(waiting: readonly SaleStore[], sale: number): Promise<Short[]> {
  const short: Short[] = []
  for (const store of waiting) {
    // A scan may come to a buyer twice.
    const missing = new Map<string, number>()
    for await (const buyer of shortOfRights(store, sale)) {
      const restore = async (from: number, total: number): Promise<void> => {
        await store.rights.restore(sale, from, [{ user: buyer.user, lent: 0, got: total }])
      }
      missing.set(buyer.user, await giveRights(waiting, { sale, to: store.shard, buyer, given: restore }))
    }
    for (const [user, count] of missing) if (count > 0) short.push({ store, user, missing: count })
  }
  return short
}

/** Those that wait may have the rights of lost shards: they must not be granted here before these are back. */
async function giveToLost(waiting: readonly SaleStore[], sale: number, back: LostRights): Promise<void> {
  for (const buyer of back.short) {
    const given = (from: number, total: number): void => back.got(buyer, from, total)
    await giveRights(waiting, { sale, to: buyer.shard, buyer, given })
  }
}

/**
 * Of each buyer who has more purchases and live holds than rights, though all that is free was given: how many more. The
 * shards that were declared lost count in with their purchases, because they can only give what these leave.
 */
function holdsTooMany(short: readonly Short[], back: LostRights | undefined): Map<string, number> {
  const missing = new Map<string, number>()
  for (const { user, missing: count } of short) missing.set(user, (missing.get(user) ?? 0) + count)
  for (const { user } of back?.short ?? []) missing.set(user, missing.get(user) ?? 0)
  const tooMany = [...missing].map(([user, count]) => [user, count - (back?.spare(user) ?? 0)] as const)
  return new Map(tooMany.filter(([, count]) => count > 0))
}

/**
 * Cuts off so many of a buyer's holds, wherever they are: those that expire first. A hold that was over when its right went
 * on expires before all that were alive then.
 * @returns how many there were
 */
async function cutHolds(
  waiting: readonly SaleStore[],
  sale: number,
  { user, count }: { user: string; count: number },
): Promise<number> {
  const held: { store: SaleStore; end: number }[] = []
  for (const store of waiting) {
    const ends = await call(store, sale, 'rights_cut', [user, ''])
    for (const end of ends as number[]) held.push({ store, end })
  }
  const cut = held.toSorted((a, b) => a.end - b.end).slice(0, count)
  const kept = new Map<SaleStore, number>()
  for (const { store } of held) kept.set(store, (kept.get(store) ?? 0) + 1)
  for (const { store } of cut) kept.set(store, (kept.get(store) ?? 0) - 1)
  for (const store of new Set(cut.map((each) => each.store))) {
    await call(store, sale, 'rights_cut', [user, kept.get(store) ?? 0])
  }
  return cut.length
}

interface Giving {
  readonly sale: number
  /** The shard. */
  readonly to: number
  readonly buyer: ShortOfRights
  /** How many one has given since the beginning, after it has given some now. */
  readonly given: (from: number, total: number) => Promise<void> | void
}

/**
 * Lends the shard of the buyer's rights what is free at the others that wait.
 * @returns how many are missing still
 */
async function giveRights(waiting: readonly SaleStore[], { sale, to, buyer, given }: Giving): Promise<number> {
  let left = buyer.missing
  for (const giver of waiting) {
    if (left === 0) break
    if (giver.shard === to) continue
    const reply = await call(giver, sale, 'rights_give', [to, buyer.user, left])
    const [count, total] = reply as [number, number]
    if (count > 0) await given(giver.shard, total)
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

async function* shortOfRights(store: SaleStore, sale: number): AsyncGenerator<ShortOfRights> {
  let cursor = '0'
  do {
    const reply = await call(store, sale, 'rights_short', [cursor, exchangeUsersPerCall])
    const [next, ...flat] = reply as [Buffer, ...(Buffer | number)[]]
    for (let at = 0; at < flat.length; at += 2) yield { user: String(flat[at]), missing: flat[at + 1] as number }
    cursor = String(next)
  } while (cursor !== '0')
}

/** One of functions/settling.lua, which all begin with the run and the sale. */
function call(
  { redis, keys, run }: SaleStore,
  sale: number,
  name: 'rights_short' | 'rights_give' | 'rights_cut',
  args: readonly (string | number)[],
): Promise<unknown> {
  return callFunction(redis, keys, { name: functionName(name), args: [run, sale, ...args], sales: [sale] })
}
