import type { Receipt, Received } from '../../core/decisions.ts'
import type { Reply } from '../../core/outcomes.ts'
import type { RightsOfUser } from '../../core/redis/rights-store.ts'
import { baseRights, homeShard } from '../../core/rights.ts'
import type { RightsCommand, RightsReply } from '../helpers/sharded-sale.ts'
import type { Hold } from './reference-shop.ts'
import { copyOf, copyOfRecord, type RightsBuyer, type ShardState } from './shard-state.ts'

/** What all shards of a sale agree on. Indexes go from 1 to `items`; the sale is always open. */
export interface RightsTerms {
  readonly shards: number
  readonly limit: number
  readonly items: number
  readonly holdMs: number
}

/** A state that can be put back, and neither read nor changed. */
export type ShardCopy = Readonly<ShardState> & { readonly isCopy: true }

type CodeCommand = Extract<RightsCommand, { kind: 'purchase' | 'release' }>

const undecided: ReadonlySet<Reply> = new Set<Reply>([
  'lent',
  'not_lent',
  'misplaced',
  'rights_elsewhere',
  'not_listed',
])

/**
 * One shard of a sale in the plainest possible words: the bounded counter of the buyer's limit with all that the Redis
 * function does by it. It shares no code with the function (no bytes, no batches, no overlays), so that a mistake in one is
 * unlikely to stand in the other too. Time may go back between two commands.
 */
export class ModelShard {
  readonly number: number
  /** Otherwise it is waiting: it decides nothing and is told what it has forgotten. */
  isAdmitted = true
  readonly #terms: RightsTerms
  /** A hash for each that is asked for would be a tenth of all that a run costs. */
  readonly #bases = new Map<string, number>()
  #state: ShardState

  constructor(number: number, epoch: number, terms: RightsTerms) {
    this.number = number
    this.#terms = terms
    const oldest = zeros(terms.shards)
    const [items, buyers, counts] = [new Map(), new Map(), new Map()]
    this.#state = { epoch, oldest, items, lapsed: new Set(), buyers, counts }
  }

  get epoch(): number {
    return this.#state.epoch
  }

  get items(): ReadonlyMap<number, Readonly<Hold>> {
    return this.#state.items
  }

  get buyers(): ReadonlyMap<string, Readonly<RightsBuyer>> {
    return this.#state.buyers
  }

  get counts(): ReadonlyMap<Reply, number> {
    return this.#state.counts
  }

  /** Purchases and live holds of a user. Who waits sells nothing: its holds are none until it is admitted. */
  used(user: string, nowMs: number): number {
    const { bought, ends } = this.#state.buyers.get(user) ?? newBuyer(0)
    return bought + (this.isAdmitted ? liveOnes(ends, nowMs).length : 0)
  }

  /** How many of a user's rights are here. */
  rights(user: string): number {
    const { lent, got } = this.#buyer(user)
    return this.#base(user) + sum(got) - sum(lent)
  }

  #base(user: string): number {
    const known = this.#bases.get(user)
    if (known !== undefined) return known
    const { shards, limit } = this.#terms
    const base = baseRights({ limit, shards, shard: this.number, home: homeShard(user, shards) })
    this.#bases.set(user, base)
    return base
  }

  decide(command: RightsCommand, nowMs: number): RightsReply {
    const reply = this.#decide(command, nowMs)
    const { counts } = this.#state
    if (!undecided.has(reply.reply)) counts.set(reply.reply, (counts.get(reply.reply) ?? 0) + 1)
    return reply
  }

  #decide(command: RightsCommand, nowMs: number): RightsReply {
    const { shards } = this.#terms
    if (command.kind === 'lend' && shards === 1) return { reply: 'not_listed', received: [] }
    if (command.kind !== 'lend' && (command.index - 1) % shards !== this.number)
      return { reply: 'misplaced', shards, received: [] }
    if (command.kind === 'purchase') return { ...this.#purchase(command, nowMs), received: [] }
    if (command.kind === 'release') return { ...this.#release(command, nowMs), received: [] }
    const received = this.#receive(command.user, command.receipts ?? [])
    const reply = command.kind === 'lend' ? this.#lend(command, nowMs) : this.#checkout(command, nowMs)
    return { ...reply, received }
  }

  #checkout(command: RightsCommand & { kind: 'checkout' }, nowMs: number): Omit<RightsReply, 'received'> {
    const { index, nonce, user, isLastWord } = command
    const { limit, holdMs, items } = this.#terms
    if (index > items) return { reply: 'item_unknown' }
    const latest = this.#state.items.get(index)
    if (latest?.purchasedAtMs !== undefined) return { reply: 'item_sold' }
    const buyer = this.#buyer(user)
    const live = latest !== undefined && !latest.isReleased && nowMs < latest.expiresAtMs ? latest : undefined
    if (live && live.user !== user) return { reply: 'item_held', expiresAtMs: live.expiresAtMs }
    if (live && buyer.ends.includes(live.expiresAtMs))
      return { reply: 'held_again', nonce: live.nonce, expiresAtMs: live.expiresAtMs }

    const rights = this.rights(user)
    if (slots(buyer) >= rights) {
      const ends = liveOnes(buyer.ends, nowMs)
      if (buyer.bought + ends.length >= rights)
        return { reply: rights >= limit || isLastWord ? 'user_limit_reached' : 'rights_elsewhere' }
      buyer.ends = ends
    }
    const expiresAtMs = nowMs + holdMs
    buyer.ends.push(expiresAtMs)
    this.#recordHold(user, buyer, { nowMs, expiresAtMs })
    this.#state.buyers.set(user, buyer)
    if (latest && !latest.isReleased) this.#state.lapsed.add(latest.nonce)
    this.#state.items.set(index, { nonce, user, expiresAtMs })
    return { reply: 'held', expiresAtMs }
  }

  #purchase({ index, nonce }: CodeCommand, nowMs: number): Omit<RightsReply, 'received'> {
    const hold = this.#state.items.get(index)
    if (hold?.nonce !== nonce) return { reply: hold && this.#state.lapsed.has(nonce) ? 'code_expired' : 'code_unknown' }
    const { user, purchasedAtMs } = hold
    if (purchasedAtMs !== undefined) return { reply: 'purchased_again', user, purchasedAtMs }
    if (!this.#endHold(hold, nowMs)) return { reply: 'code_expired' }
    this.#buyer(user).bought += 1
    hold.purchasedAtMs = nowMs
    return { reply: 'purchased', user, purchasedAtMs: nowMs }
  }

  #release({ index, nonce }: CodeCommand, nowMs: number): Omit<RightsReply, 'received'> {
    const hold = this.#state.items.get(index)
    if (hold?.nonce !== nonce)
      return { reply: hold && this.#state.lapsed.has(nonce) ? 'release_expired' : 'release_unknown' }
    const { user } = hold
    if (hold.purchasedAtMs !== undefined) return { reply: 'release_sold' }
    if (hold.isReleased) return { reply: 'released_again', user }
    if (!this.#endHold(hold, nowMs)) return { reply: 'release_expired' }
    hold.isReleased = true
    return { reply: 'released', user }
  }

  /** Takes a live hold from its user's. @returns whether it was alive */
  #endHold({ user, expiresAtMs, isReleased }: Hold, nowMs: number): boolean {
    const buyer = this.#buyer(user)
    const end = buyer.ends.indexOf(expiresAtMs)
    if (isReleased || nowMs >= expiresAtMs || end < 0) return false
    buyer.ends.splice(end, 1)
    const recorded = buyer.onRecord.ends.indexOf(expiresAtMs)
    if (recorded >= 0) buyer.onRecord.ends.splice(recorded, 1)
    return true
  }

  /** What has ended is cut off before it is counted: its right may go elsewhere, and a clock must not bring it back. */
  #lend({ to, user }: RightsCommand & { kind: 'lend' }, nowMs: number): Omit<RightsReply, 'received'> {
    const buyer = this.#buyer(user)
    const ends = liveOnes(buyer.ends, nowMs)
    const isFree = buyer.bought + ends.length < this.rights(user)
    const isLent = isFree && to !== this.number && to < this.#terms.shards
    if (isLent) {
      buyer.ends = ends
      this.#addLent(user, buyer, to, 1)
      buyer.onRecord.ends = liveOnes(buyer.onRecord.ends, nowMs)
      buyer.onRecord.lent[to] = at(buyer.lent, to)
    }
    return { reply: isLent ? 'lent' : 'not_lent', epoch: this.epoch, lent: [...buyer.lent], got: [...buyer.got] }
  }

  #addLent(user: string, buyer: RightsBuyer, to: number, count: number): void {
    buyer.lent[to] = at(buyer.lent, to) + count
    this.#state.buyers.set(user, buyer)
  }

  #receive(user: string, receipts: readonly Receipt[]): Received[] {
    const buyer = this.#buyer(user)
    const received: Received[] = []
    if (this.#terms.shards === 1) return received
    for (const { from, epoch, total } of receipts) {
      if (from === this.number || from >= this.#terms.shards) continue
      if (epoch < at(this.#state.oldest, from) || total <= at(buyer.got, from)) continue
      buyer.got[from] = total
      buyer.onRecord.got[from] = total
      received.push({ from, total })
    }
    if (received.length > 0) this.#state.buyers.set(user, buyer)
    return received
  }

  #recordHold(user: string, buyer: RightsBuyer, { nowMs, expiresAtMs }: { nowMs: number; expiresAtMs: number }): void {
    const { onRecord, bought } = buyer
    const rights = this.#base(user) + sum(onRecord.got) - sum(onRecord.lent)
    if (bought + onRecord.ends.length >= rights) onRecord.ends = liveOnes(onRecord.ends, nowMs)
    onRecord.ends.push(expiresAtMs)
  }

  /** What a rebuild makes of its log, when all of it is in Postgres. */
  onRecord(): ShardCopy {
    const { buyers, ...rest } = this.copy()
    const rebuilt = [...buyers].map(([user, { bought, onRecord }]) => {
      return [user, { bought, ...copyOfRecord(onRecord), onRecord }] as const
    })
    return { ...rest, buyers: new Map(rebuilt) }
  }

  clone(): ModelShard {
    const clone = new ModelShard(this.number, this.epoch, this.#terms)
    clone.putBack(this.copy())
    return clone
  }

  copy(): ShardCopy {
    return { ...copyOf(this.#state), isCopy: true }
  }

  /** It is another run of Redis, with an older state. */
  putBack(copy: ShardCopy): void {
    this.#state = copyOf(copy)
    this.isAdmitted = false
  }

  acceptFrom(peer: number, epoch: number): void {
    this.#state.oldest[peer] = Math.max(at(this.#state.oldest, peer), epoch)
  }

  rightsWith(peer: number): RightsOfUser[] {
    const all = [...this.#state.buyers].map(([user, { lent, got }]) => {
      return { user, lent: at(lent, peer), got: at(got, peer) }
    })
    return all.filter(({ lent, got }) => lent > 0 || got > 0)
  }

  lacksGot(peer: number, users: readonly RightsOfUser[]): boolean {
    return users.some(({ user, got }) => got > at(this.#buyer(user).got, peer))
  }

  /** `users` as this shard has to know it: what the peer has got is lent. */
  restoreRights(peer: number, users: readonly RightsOfUser[]): void {
    for (const { user, lent, got } of users) {
      const buyer = this.#buyer(user)
      buyer.lent[peer] = Math.max(at(buyer.lent, peer), lent)
      buyer.got[peer] = Math.max(at(buyer.got, peer), got)
      this.#state.buyers.set(user, buyer)
    }
  }

  /** Whoever takes up more than his rights here, when what has ended is cut off, and how many are missing. */
  shortOfRights(nowMs: number): { user: string; missing: number }[] {
    const found: { user: string; missing: number }[] = []
    for (const [user, buyer] of this.#state.buyers) {
      const rights = this.rights(user)
      if (slots(buyer) <= rights) continue
      buyer.ends = liveOnes(buyer.ends, nowMs)
      const missing = slots(buyer) - rights
      if (missing > 0) found.push({ user, missing })
    }
    return found
  }

  bought(user: string): number {
    return this.#buyer(user).bought
  }

  /** Of the live hold that ends first. */
  firstEnd(user: string, nowMs: number): number {
    return Math.min(...liveOnes(this.#buyer(user).ends, nowMs))
  }

  cutFirst(user: string, nowMs: number): void {
    const buyer = this.#buyer(user)
    buyer.ends = liveOnes(buyer.ends, nowMs)
      .toSorted((a, b) => a - b)
      .slice(1)
  }

  /** Lends up to so many that are free, as #lend. @returns how many, and how many ever */
  give(to: number, user: string, count: number, nowMs: number): { given: number; total: number } {
    const buyer = this.#buyer(user)
    const ends = liveOnes(buyer.ends, nowMs)
    const given = Math.max(0, Math.min(count, this.rights(user) - buyer.bought - ends.length))
    if (given > 0) {
      buyer.ends = ends
      this.#addLent(user, buyer, to, given)
    }
    return { given, total: at(buyer.lent, to) }
  }

  /** What is missing here was lent by a shard that can't be asked: it will hear of it when it is back. */
  owe(lender: number, user: string, count: number): void {
    const buyer = this.#buyer(user)
    buyer.got[lender] = at(buyer.got, lender) + count
    this.#state.buyers.set(user, buyer)
  }

  /** @param accepts shard and epoch of all others */
  admit(epoch: number, accepts: ReadonlyMap<number, number>): void {
    this.#state.epoch = epoch
    for (const [peer, oldest] of accepts) this.acceptFrom(peer, oldest)
    this.isAdmitted = true
  }

  /** What it knows of the user. Someone new is known only once something has been written. */
  #buyer(user: string): RightsBuyer {
    return this.#state.buyers.get(user) ?? newBuyer(this.#terms.shards)
  }
}

export function isPlaced({ reply, received }: RightsReply): boolean {
  return reply === 'lent' || received.length > 0 || !undecided.has(reply)
}

function newBuyer(shards: number): RightsBuyer {
  const onRecord = { ends: [], lent: zeros(shards), got: zeros(shards) }
  return { bought: 0, ends: [], lent: zeros(shards), got: zeros(shards), onRecord }
}

function slots({ bought, ends }: RightsBuyer): number {
  return bought + ends.length
}

function liveOnes(ends: readonly number[], nowMs: number): number[] {
  return ends.filter((end) => nowMs < end)
}

function zeros(length: number): number[] {
  return Array<number>(length).fill(0)
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] ?? 0
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
