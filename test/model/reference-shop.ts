import type { SaleTerms } from '../../core/decisions.ts'
import type { Outcome } from '../../core/outcomes.ts'

/** A command as the model sees it: a checkout names a user, a purchase or a release has none. */
export interface ModelCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly isRelease?: boolean
  /** Whose the code has to be. */
  readonly buyer?: string | undefined
}

/** What must follow the outcome in the results, where the outcome has details. */
export interface ModelDecision {
  readonly outcome: Outcome
  readonly nonce?: string
  readonly user?: string
  readonly expiresAtMs?: number
  readonly purchasedAtMs?: number
}

/** A hold, and the purchase that it became if it did. */
export interface Hold {
  readonly nonce: string
  readonly user: string
  readonly expiresAtMs: number
  purchasedAtMs?: number
  isReleased?: boolean
}

/** What takes up a buyer's limit. */
export interface Buyer {
  bought: number
  /**
   * When each hold ends that was not purchased. It stays, ended or not, until the buyer takes another hold and has no room
   * for it: then all that have ended are cut off. What was cut off can't be purchased any more, even when Redis' clock is
   * set back to before its end. A hold is known by its end alone: of two with the same end either may be purchased.
   */
  ends: number[]
}

interface ListedSale {
  readonly terms: SaleTerms
  /** Item -> every hold that it ever had, oldest first. */
  readonly holds: Map<string, Hold[]>
  readonly buyers: Map<string, Buyer>
  readonly counts: Map<Outcome, number>
}

/**
 * The rules of the shop in the plainest possible words: every hold that ever was, in the list of its item, and what each
 * buyer has. It shares no code with the Redis function (no entries, no bytes, no overlays), so that a mistake in one is
 * unlikely to stand in the other too. Time may go back between two commands.
 */
export class ReferenceShop {
  readonly #sales = new Map<number, ListedSale>()
  readonly countsUnlisted = new Map<Outcome, number>()
  readonly #intervalMs: number

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  open(terms: SaleTerms): void {
    this.#sales.set(terms.sale, { terms, holds: new Map(), buyers: new Map(), counts: new Map() })
  }

  counts(sale: number): ReadonlyMap<Outcome, number> {
    return this.#sales.get(sale)?.counts ?? new Map()
  }

  /** Item -> its latest hold. */
  latestHolds(sale: number): Map<string, Hold> {
    const holds = [...(this.#sales.get(sale)?.holds ?? [])]
    return new Map(holds.flatMap(([index, ofItem]) => ofItem.slice(-1).map((hold) => [index, hold] as const)))
  }

  buyers(sale: number): ReadonlyMap<string, Buyer> {
    return this.#sales.get(sale)?.buyers ?? new Map()
  }

  soldCount(sale: number): number {
    return this.#allHolds(sale).filter((hold) => hold.purchasedAtMs !== undefined).length
  }

  liveHoldCount(sale: number, nowMs: number): number {
    return this.#allHolds(sale).filter((hold) => isLive(hold, nowMs)).length
  }

  /** @param rights of the user, where not the whole limit is there */
  decide(command: ModelCommand, nowMs: number, rights?: number): ModelDecision {
    const decision = command.user === '' ? this.#redeem(command, nowMs) : this.#checkout(command, nowMs, rights)
    const counts = this.#sales.get(command.sale)?.counts ?? this.countsUnlisted
    counts.set(decision.outcome, (counts.get(decision.outcome) ?? 0) + 1)
    return decision
  }

  #checkout({ sale, index, nonce, user }: ModelCommand, nowMs: number, rights?: number): ModelDecision {
    const listed = this.#sales.get(sale)
    if (!listed) return { outcome: sale < Math.floor(nowMs / this.#intervalMs) ? 'sale_gone' : 'sale_unlisted' }
    const { terms, holds, buyers } = listed
    if (Number(index) < 1 || Number(index) > terms.items) return { outcome: 'item_unknown' }
    if (nowMs >= terms.closesAtMs) return { outcome: 'sale_closed' }
    if (nowMs < terms.opensAtMs) return { outcome: 'sale_not_open' }

    const ofItem = holds.get(index) ?? []
    if (ofItem.some((hold) => hold.purchasedAtMs !== undefined)) return { outcome: 'item_sold' }
    const buyer = buyers.get(user) ?? { bought: 0, ends: [] }
    const latest = ofItem.at(-1)
    const live = latest && isLive(latest, nowMs) ? latest : undefined
    if (live && live.user !== user) return { outcome: 'item_held', expiresAtMs: live.expiresAtMs }
    if (live && buyer.ends.includes(live.expiresAtMs))
      return { outcome: 'held_again', nonce: live.nonce, expiresAtMs: live.expiresAtMs }

    const hasRoom = (ends: readonly number[]) => buyer.bought + ends.length < (rights ?? terms.userLimit)
    const kept = hasRoom(buyer.ends) ? buyer.ends : buyer.ends.filter((end) => nowMs < end)
    if (!hasRoom(kept)) return { outcome: 'user_limit_reached' }

    const expiresAtMs = nowMs + terms.holdMs
    holds.set(index, [...ofItem, { nonce, user, expiresAtMs }])
    buyer.ends = [...kept, expiresAtMs]
    buyers.set(user, buyer)
    return { outcome: 'held', expiresAtMs }
  }

  /** A released code is forgotten once its item is taken again: what it was is not told any more. */
  #redeem({ sale, index, nonce, isRelease = false, buyer: asks }: ModelCommand, nowMs: number): ModelDecision {
    const listed = this.#sales.get(sale)
    if (!listed) return { outcome: isRelease ? 'release_unlisted' : 'code_unlisted' }
    const ofItem = listed.holds.get(index) ?? []
    const hold = ofItem.find((one) => one.nonce === nonce)
    const isLatest = ofItem.at(-1) === hold
    if (!hold || (hold.isReleased && !isLatest)) return { outcome: isRelease ? 'release_unknown' : 'code_unknown' }
    if (isLatest && asks !== undefined && asks !== hold.user)
      return { outcome: isRelease ? 'release_of_another' : 'code_of_another' }
    if (hold.purchasedAtMs !== undefined) {
      if (isRelease) return { outcome: 'release_sold' }
      return { outcome: 'purchased_again', user: hold.user, purchasedAtMs: hold.purchasedAtMs }
    }
    if (isRelease && hold.isReleased) return { outcome: 'released_again', user: hold.user }
    const buyer = listed.buyers.get(hold.user)
    const end = buyer?.ends.indexOf(hold.expiresAtMs) ?? -1
    if (!isLatest || !isLive(hold, nowMs) || !buyer || end < 0)
      return { outcome: isRelease ? 'release_expired' : 'code_expired' }
    buyer.ends.splice(end, 1)
    if (isRelease) {
      hold.isReleased = true
      return { outcome: 'released', user: hold.user }
    }
    buyer.bought += 1
    hold.purchasedAtMs = nowMs
    return { outcome: 'purchased', user: hold.user, purchasedAtMs: nowMs }
  }

  #allHolds(sale: number): Hold[] {
    return [...(this.#sales.get(sale)?.holds.values() ?? [])].flat()
  }
}

function isLive(hold: Hold, nowMs: number): boolean {
  return hold.purchasedAtMs === undefined && !hold.isReleased && nowMs < hold.expiresAtMs
}
