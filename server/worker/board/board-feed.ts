import { setTimeout as delay } from 'node:timers/promises'

import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault, undefinedForFault } from '../../../core/faults.ts'
import { visitItemChanges } from '../../../core/redis/item-changes.ts'
import type { SaleStore, WatchedSale } from '../../../core/redis/sale-store.ts'
import { itemsOfShard, shardNumbers } from '../../../core/shards.ts'
import {
  boardChangesBytesMax,
  boardItemsMax,
  boardMessagesPerSecond,
  boardPollLeaseMs,
  boardRateWindowMs,
  boardScanItems,
  boardSilenceMs,
  boardTickMsMax,
  boardTickMsMin,
} from '../limits.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import { saleAt } from '../selling/sales.ts'
import { ItemStates } from './item-states.ts'
import { SaleCurve } from './sale-curve.ts'

/** What it needs of a shard. */
export interface BoardShard {
  readonly number: number
  readonly store: Pick<SaleStore, 'watch' | 'scanItems' | 'isUp'>
  readonly clock: Pick<RedisClock, 'observe'>
  /** The connection stands, and the last question was answered. */
  readonly isAnswering: boolean
  /** It is there, and is known to have everything that was sold. */
  readonly isReadable: boolean
}

export interface BoardFeedOptions {
  /** By their numbers. */
  readonly shards: readonly BoardShard[]
  readonly clock: Pick<RedisClock, 'now'>
  readonly intervalMs: number
  /** For all viewers, at most once a tick. */
  readonly publish: (message: Buffer) => void
  /** It has looked, and shows what there is to show. */
  readonly onLooked: () => void
}

/** Up to where what a shard noted is in the states. */
interface Place {
  readonly shard: BoardShard
  readonly sinceMs: number
  offset: number
}

/** The sale on the board, as of the last tick. */
interface Shown {
  readonly terms: SaleTerms
  readonly states: ItemStates
  readonly curve: SaleCurve
  /** Of the shards that are followed. */
  readonly places: readonly Place[]
  /** The other shards of the sale, by their numbers: what became of their items is not known. */
  readonly missingShards: readonly number[]
  readonly missingItems: number
  nowMs: number
  holds: number
  purchases: number
}

/** Of a past tick, with what had been counted by then. */
interface Mark {
  readonly nowMs: number
  readonly holds: number
  readonly purchases: number
}

const nowhere = { sinceMs: 0, offset: 0, bytesMax: boardChangesBytesMax }

/**
 * Follows the current sale while somebody looks at it, and tells the viewers what changed, a message a tick. With no
 * viewers it does nothing at all, and Redis notes nothing.
 *
 * A page that can't keep a connection polls: the feed goes on for a while after each time.
 *
 * A message is the length of its head (4 bytes, little-endian), the head (JSON) and a payload: with `state` all items
 * (ItemStates.pack), with `tick` those that changed (ItemStates.takeChanges). A viewer that has had every message since
 * a `state` knows all; there is no other way to miss one than to lose the connection.
 *
 * A shard that goes missing or comes back is a new `state` for everybody: its head names those that are missing. Their items
 * stand in it as available, which a page of the version before takes them for.
 */
export class BoardFeed {
  readonly #options: BoardFeedOptions
  #viewers = 0
  #shown: Shown | undefined
  #marks: Mark[] = []
  #saidMs = 0
  #isRunning = false
  #polledMs = Number.NEGATIVE_INFINITY

  constructor(options: BoardFeedOptions) {
    this.#options = options
  }

  get viewers(): number {
    return this.#viewers
  }

  /** One viewer more. What it must be sent now; `undefined`: the next message will be a state for everybody. */
  join(): Buffer | undefined {
    this.#viewers += 1
    if (!this.#isRunning) void this.#run()
    return this.state
  }

  /** For a page that asks again and again. The state as of the last look; `undefined`: there is one after the next. */
  poll(): Buffer | undefined {
    this.#polledMs = performance.now()
    if (!this.#isRunning) void this.#run()
    return this.state
  }

  get state(): Buffer | undefined {
    return this.#shown && this.#stateMessage(this.#shown)
  }

  /** No page is awaited any more. */
  endPolls(): void {
    this.#polledMs = Number.NEGATIVE_INFINITY
  }

  leave(): void {
    this.#viewers -= 1
  }

  /** The connection to a Redis was lost: it may have come back as another, so the next tick reads all anew. */
  forget(): void {
    this.#shown = undefined
  }

  /** Rejects with what is a bug, which ends the process. */
  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isWatched) {
      const startedMs = performance.now()
      // Without Redis there is nothing to say, and the viewers will notice.
      const isWell = !this.#options.shards.some(({ store }) => store.isUp) || (await this.#tryTick())
      this.#options.onLooked()
      // After a fault all of the sale may have to be read anew, which a Redis in trouble can't do at each tick.
      const pauseMs = isWell ? this.#tickMs() : boardSilenceMs
      await delay(Math.max(0, startedMs + pauseMs - performance.now()))
    }
    this.#isRunning = false
    this.#shown = undefined
    // Whoever asked during the last pause.
    this.#options.onLooked()
  }

  get #isWatched(): boolean {
    return this.#viewers > 0 || performance.now() - this.#polledMs < boardPollLeaseMs
  }

  /** Whether Redis gave what was asked for. */
  async #tryTick(): Promise<boolean> {
    try {
      await this.#tick()
      return true
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.forget()
      return false
    }
  }

  /** A crowd hears less often, so that what it costs is bounded and selling does not feel it. */
  #tickMs(): number {
    const affordableMs = (this.#viewers * 1_000) / boardMessagesPerSecond
    return Math.min(boardTickMsMax, Math.max(boardTickMsMin, affordableMs))
  }

  async #tick(): Promise<void> {
    const { clock, intervalMs } = this.#options
    const nowMs = clock.now()
    if (nowMs === undefined) return
    const sale = saleAt(nowMs, intervalMs)
    if (this.#shown !== undefined && !this.#isAllThere(this.#shown)) this.forget()
    const known = this.#shown?.terms.sale === sale ? this.#shown : undefined
    if (known !== undefined && (await this.#follow(known))) this.#tell(known)
    else await this.#begin(sale)
  }

  /** Brings what is shown up to date; `false` when that can't be done, and all has to be read anew. */
  async #follow(shown: Shown): Promise<boolean> {
    if (await this.#isMoreThere(shown)) return false
    const all = await Promise.all(shown.places.map((place) => this.#followPlace(shown, place)))
    return all.every((isFollowed) => isFollowed)
  }

  /** Whether each shard that is followed can still be read. */
  #isAllThere({ places }: Shown): boolean {
    return this.#options.shards.length === 1 || places.every(({ shard }) => shard.isReadable)
  }

  async #followPlace(shown: Shown, place: Place): Promise<boolean> {
    const { store, clock } = place.shard
    let end: number
    do {
      const { sinceMs, offset } = place
      const watched = await store.watch(shown.terms.sale, { ...nowhere, sinceMs, offset })
      if (watched?.sinceMs !== sinceMs || watched.end < offset) return false
      clock.observe(watched.nowMs)
      apply(shown, place, watched)
      ;({ end } = watched)
    } while (place.offset < end)
    return true
  }

  /** Whether a shard has its part of the sale that is not followed: it was away, or is late. */
  async #isMoreThere({ terms, places }: Shown): Promise<boolean> {
    const others = this.#readable().filter((shard) => {
      return shard.number < terms.shards && !places.some((place) => place.shard === shard)
    })
    const watched = await Promise.all(
      others.map(({ store }) => store.watch(terms.sale, nowhere).catch(undefinedForFault)),
    )
    return watched.some((each) => each !== undefined)
  }

  async #begin(sale: number): Promise<void> {
    const watched = await this.#watchAll(sale)
    const [first] = watched
    if (first === undefined) return
    this.#shown = undefined // whoever joins meanwhile gets the state afterwards, with the others
    this.#show(await this.#read(first.watched.terms, watched))
  }

  /** At every shard that lists the sale and answers. @throws Fault when none answers */
  async #watchAll(sale: number): Promise<{ shard: BoardShard; watched: WatchedSale }[]> {
    const faults: Fault[] = []
    const all = await Promise.all(
      this.#readable().map(async (shard) => {
        const watched = await shard.store.watch(sale, nowhere).catch((error: unknown) => {
          if (!(error instanceof Fault)) throw error
          faults.push(error)
        })
        if (watched === undefined) return []
        shard.clock.observe(watched.nowMs)
        return [{ shard, watched }]
      }),
    )
    const [fault] = faults
    const found = all.flat()
    if (found.length === 0 && fault !== undefined) throw fault
    return found
  }

  /** Of several shards those that hang or have forgotten something are left out, as in `GET /sale`. */
  #readable(): readonly BoardShard[] {
    const { shards } = this.#options
    return shards.length === 1 ? shards : shards.filter(({ isAnswering, isReadable }) => isAnswering && isReadable)
  }

  /** All of a sale: its items as they are, on which what was noted from then on will follow. */
  async #read(terms: SaleTerms, watched: { shard: BoardShard; watched: WatchedSale }[]): Promise<Shown> {
    const states = new ItemStates(terms.items, boardItemsMax)
    const soldAtMs: number[] = []
    await Promise.all(watched.map(({ shard }) => readItems(shard, terms.sale, { states, soldAtMs })))
    const nowMs = watched[0]?.watched.nowMs ?? 0
    states.expire(nowMs - terms.opensAtMs)
    states.takeChanges()
    const curve = SaleCurve.through(soldAtMs)
    const places = watched.map(({ shard, watched: { sinceMs, end } }) => ({ shard, sinceMs, offset: end }))
    const missingShards = shardNumbers(terms.shards).filter((number) => {
      return !places.some(({ shard }) => shard.number === number)
    })
    const missingItems = missingShards.reduce((sum, shard) => sum + itemsOfShard(shard, terms), 0)
    return { terms, states, curve, places, missingShards, missingItems, nowMs, holds: 0, purchases: 0 }
  }

  #show(shown: Shown): void {
    this.#shown = shown
    this.#marks = []
    this.#options.publish(this.#stateMessage(shown))
    this.#saidMs = performance.now()
  }

  #tell(shown: Shown): void {
    const { states, curve, terms, nowMs } = shown
    const sinceOpeningMs = nowMs - terms.opensAtMs
    const soldBefore = curve.points.at(-1) ?? 0
    states.expire(sinceOpeningMs)
    if (states.sold > soldBefore) curve.add(sinceOpeningMs, states.sold)
    const rates = this.#rates(shown)
    const changes = states.takeChanges()
    // A heartbeat once a second when nothing happens: a page that hears nothing for longer is stale.
    if (changes.length === 0 && performance.now() - this.#saidMs < boardSilenceMs) return
    this.#options.publish(message({ type: 'tick', ...numbers(shown), ...rates }, changes))
    this.#saidMs = performance.now()
  }

  #stateMessage(shown: Shown): Buffer {
    const { terms, curve, states, missingShards } = shown
    const missing = missingShards.length > 0 && { missingShards }
    const head = { type: 'state', ...numbers(shown), ...this.#rates(shown), terms, curve: curve.points, ...missing }
    return message(head, states.pack())
  }

  /** Over the last second or so. */
  #rates({ nowMs, holds, purchases }: Shown): { holdsPerSecond: number; purchasesPerSecond: number } {
    const marks = this.#marks
    if (marks.at(-1)?.nowMs !== nowMs) marks.push({ nowMs, holds, purchases })
    while (marks.length > 2 && nowMs - (marks[1] as Mark).nowMs >= boardRateWindowMs) marks.shift()
    const [oldest] = marks as [Mark]
    const seconds = Math.max(nowMs - oldest.nowMs, boardTickMsMin) / 1_000
    return {
      holdsPerSecond: Math.round((holds - oldest.holds) / seconds),
      purchasesPerSecond: Math.round((purchases - oldest.purchases) / seconds),
    }
  }
}

/** All that somebody touched in the shard. */
async function readItems(
  { store }: BoardShard,
  sale: number,
  { states, soldAtMs }: { states: ItemStates; soldAtMs: number[] },
): Promise<void> {
  let cursor = '0'
  do {
    const scanned = await store.scanItems(sale, cursor, boardScanItems)
    for (const { index, isSold, timeMs } of scanned.items) {
      if (isSold) states.sell(index)
      else states.hold(index, timeMs)
      if (isSold) soldAtMs.push(timeMs)
    }
    ;({ cursor } = scanned)
  } while (cursor !== '0')
}

function apply(shown: Shown, place: Place, { terms, changes, end, nowMs }: WatchedSale): void {
  // A tick after the hold was taken at the most, so it is shown for as much longer than it lasts.
  const expiryMs = nowMs - terms.opensAtMs + terms.holdMs
  const hasMore = place.offset + changes.length < end
  place.offset += visitItemChanges(changes, { hasMore }, (index, change) => {
    if (change === 'released') shown.states.release(index)
    else if (change === 'sold') {
      shown.states.sell(index)
      shown.purchases += 1
    } else {
      shown.states.hold(index, expiryMs)
      shown.holds += 1
    }
  })
  if (place === shown.places[0]) shown.nowMs = nowMs
}

/** `holdEndsAt` where there is nothing to be had but what a hold gives back. */
function numbers({ nowMs, states, terms, missingItems }: Shown) {
  const { held, sold, firstExpiryMs } = states
  const isAllTaken = held + sold + missingItems >= terms.items && firstExpiryMs !== undefined
  return { now: nowMs, held, sold, ...(isAllTaken && { holdEndsAt: terms.opensAtMs + firstExpiryMs }) }
}

function message(head: object, payload: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text.length)
  return Buffer.concat([length, text, payload])
}
