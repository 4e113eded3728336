import { setTimeout as delay } from 'node:timers/promises'

import type { SaleTerms } from '../decisions.ts'
import { Fault } from '../faults.ts'
import { exchangeDrainMsMax, exchangePollMs, exchangeUsersPerCall } from '../limits.ts'
import { formatLogPosition } from '../log-position.ts'
import { type Listing, listings, relist } from '../redis/listings.ts'
import type { RightsOfUser, ShardEpoch } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import { entriesBetween } from './log-chain.ts'
import { LostRights } from './lost-rights.ts'
import { type Queries, readRecordHead } from './record-head.ts'
import { recordedRights } from './sales-on-record.ts'
import { settleRights } from './settle-rights.ts'

/** A shard with its epoch: the one in force, or the one that is about to begin. */
export interface ExchangeParty {
  readonly store: SaleStore
  readonly epoch: number
}

export interface ExchangeOptions {
  readonly session: Queries
  /** Those that are about to be admitted. */
  readonly joining: readonly ExchangeParty[]
  /** Those that decide. */
  readonly deciding: readonly SaleStore[]
  /** Those that a person has declared lost, by their numbers. They are rebuilt from what is on record, so that speaks for them. */
  readonly declaredLost: readonly ShardEpoch[]
  /** Progress, as sentences for people. */
  readonly say: (progress: string) => void
}

/**
 * Before a shard decides again, the others say what they have got from it and lent to it, because it may have forgotten that
 * it has lent a right, and would grant it itself. From then on the others take no word of it that is from before. What those
 * that join have forgotten together they settle among themselves.
 * @returns of each shard that joins, by its number, from which epoch on it believes the others
 * @throws Fault HC_SHARD_AWAITED while Postgres lacks what a shard gets back; those of Redis and Postgres
 */
export async function exchangeRights(options: ExchangeOptions): Promise<ReadonlyMap<number, readonly ShardEpoch[]>> {
  const { session, joining, deciding, declaredLost } = options
  const accepts = new Map<number, readonly ShardEpoch[]>()
  for (const { store, epoch } of joining) {
    const { shard } = store
    const believed: ShardEpoch[] = [...declaredLost]
    for (const other of deciding) {
      // In this order: what it is told of an older epoch after it was read would be missing.
      const answer = await other.rights.acceptFrom({ shard, epoch })
      believed.push({ shard: other.shard, epoch: answer.epoch })
      await takeRights(store, other, { session, isAdmitted: true })
    }
    for (const other of joining) {
      if (other.store === store) continue
      believed.push({ shard: other.store.shard, epoch: other.epoch })
      await takeRights(store, other.store, { session, isAdmitted: false })
    }
    for (const lost of declaredLost) await takeRecordedRights(session, store, lost.shard)
    accepts.set(shard, believed)
  }
  await settleAll(options)
  return accepts
}

/** What those that join have forgotten together, in every sale in which something can still be decided. */
async function settleAll(options: ExchangeOptions): Promise<void> {
  const joining = options.joining.map(({ store }) => store)
  const sales = new Map<number, SaleTerms>()
  let earliestMs = Number.POSITIVE_INFINITY
  for (const store of joining) {
    const { nowMs } = await store.logState()
    earliestMs = Math.min(earliestMs, nowMs)
    for (const { terms } of await listings(store)) if (isLive(terms, nowMs)) sales.set(terms.sale, terms)
  }
  for (const terms of sales.values()) if (terms.shards > 1) await settleSale(options, terms, earliestMs)
}

async function settleSale(options: ExchangeOptions, terms: SaleTerms, nowMs: number): Promise<void> {
  const { session, say } = options
  const { sale, shards } = terms
  const joining = options.joining.map(({ store }) => store).filter(({ shard }) => shard < shards)
  const deciding = options.deciding.filter(({ shard }) => shard < shards)
  const declaredLost = options.declaredLost.map(({ shard }) => shard).filter((shard) => shard < shards)
  const asked = [
    ...joining.map((store) => ({ store, isAdmitted: false })),
    ...deciding.map((store) => ({ store, isAdmitted: true })),
  ]
  const lost = { session, terms, shards: declaredLost, asked, nowMs }
  const buyers = await settleRights(joining, sale, {
    lender: declaredLost[0],
    lost: declaredLost.length > 0 ? (users) => LostRights.of(lost, users) : undefined,
  })
  if (buyers > 0) say(`sale ${sale}: ${buyers} buyers have purchases in a shard for which it has no rights`)
}

function isLive({ closesAtMs, holdMs }: SaleTerms, nowMs: number): boolean {
  return closesAtMs + holdMs > nowMs
}

interface TakeOptions {
  readonly session: Queries
  /** Whether the shard that is asked decides. */
  readonly isAdmitted: boolean
}

/** What `from` knows of its rights with the shard, and the sales that it lists. */
async function takeRights(store: SaleStore, from: SaleStore, { session, isAdmitted }: TakeOptions): Promise<void> {
  const listed = new Set((await listings(store)).map(({ terms }) => terms.sale))
  const found: [sale: number, users: RightsOfUser[]][] = []
  let lacksGot = false
  for (const listing of await sharedListings(store, from)) {
    const { sale } = listing.terms
    if (!listed.has(sale)) await relist(store, listing)
    let cursor = '0'
    do {
      const page = await from.rights.with(sale, store.shard, { cursor, count: exchangeUsersPerCall, isAdmitted })
      const lacking = await lackingRights(store, { sale, from: from.shard, users: page.users.map(mirrored) })
      if (lacking.users.length > 0) found.push([sale, lacking.users])
      lacksGot ||= lacking.isGot
      ;({ cursor } = page)
    } while (cursor !== '0')
  }
  // A right that it gets back is in no entry of its log. If the lender forgot it too, only the lender's entry would tell.
  if (lacksGot) await untilDrained(session, from)
  for (const [sale, users] of found) await store.rights.restore(sale, from.shard, users)
}

async function takeRecordedRights(session: Queries, store: SaleStore, lost: number): Promise<void> {
  const sales = (await listings(store)).filter(({ terms }) => terms.shards > Math.max(lost, store.shard))
  const numbers = sales.map(({ terms }) => terms.sale)
  const rights = await recordedRights(session, { shard: lost, peer: store.shard, sales: numbers })
  for (const sale of numbers) {
    const users = rights.filter((row) => row.sale === sale).map(mirrored)
    for (let at = 0; at < users.length; at += exchangeUsersPerCall) {
      await store.rights.restore(sale, lost, users.slice(at, at + exchangeUsersPerCall))
    }
  }
}

/** Sales that `from` lists, in which the shard has a part and something can still be decided. */
async function sharedListings(store: SaleStore, from: SaleStore): Promise<Listing[]> {
  const clocks = await Promise.all([store.logState(), from.logState()])
  const nowMs = Math.min(...clocks.map((state) => state.nowMs))
  return (await listings(from)).filter(
    ({ terms }) => terms.shards > Math.max(store.shard, from.shard) && isLive(terms, nowMs),
  )
}

/** One shard's lent is the other's got. */
function mirrored({ user, lent, got }: RightsOfUser): RightsOfUser {
  return { user, lent: got, got: lent }
}

async function lackingRights(
  store: SaleStore,
  { sale, from, users }: { sale: number; from: number; users: readonly RightsOfUser[] },
): Promise<{ users: RightsOfUser[]; isGot: boolean }> {
  if (users.length === 0) return { users: [], isGot: false }
  const lacking = await store.rights.lacking(sale, from, users)
  return { users: users.filter(({ user }) => lacking.has(user)), isGot: [...lacking.values()].includes(true) }
}

/** Until Postgres has all that the shard has decided so far. @throws Fault HC_SHARD_AWAITED */
async function untilDrained(session: Queries, store: SaleStore): Promise<void> {
  const { shard } = store
  const { last } = await store.logState()
  const deadlineMs = performance.now() + exchangeDrainMsMax
  for (;;) {
    const { committed, epochs } = await readRecordHead(session, shard)
    if (entriesBetween(committed, last, epochs) === 0) return
    if (performance.now() > deadlineMs) {
      const [end, position] = [formatLogPosition(last), formatLogPosition(committed)]
      const what = `shard ${shard} has lent rights, and its log has to be in Postgres up to ${end} first`
      throw new Fault('HC_SHARD_AWAITED', `${what}: it is up to ${position}`)
    }
    await delay(exchangePollMs)
  }
}
