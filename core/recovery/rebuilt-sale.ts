import type { SaleTerms } from '../decisions.ts'
import { encodeItemEntry, encodeReleasedItem, type ItemEntry } from '../redis/item-entry.ts'
import type { RebuildWriter, SalePart } from '../redis/rebuild-writer.ts'
import { encodeUserEntry } from '../redis/user-entry.ts'
import type { Queries } from './record-head.ts'
import {
  type HeldRow,
  heldItems,
  lapsedNonces,
  outcomeCounts,
  type SalePartOnRecord,
  type SlotRow,
  type SoldRow,
  slotsInOrder,
  soldItems,
} from './sales-on-record.ts'
import { UserSlots } from './user-slots.ts'

export interface RebuiltSaleOptions {
  readonly session: Queries
  readonly writer: RebuildWriter
  readonly terms: SaleTerms
  /** Whose part of the sale it is. */
  readonly shard: number
  /** Redis' clock. */
  readonly nowMs: number
}

/**
 * A shard's part of one sale on its way from Postgres into Redis: the entries and counts that its decisions have left behind.
 * Holds that have ended are not counted any more, which has no effect.
 */
export class RebuiltSale {
  sold = 0
  /** Live holds. */
  held = 0
  readonly #options: RebuiltSaleOptions
  readonly #part: SalePartOnRecord
  /** Redis' clock, or that by which the newest decision was taken: another Redis' clock may be behind it. */
  #nowMs: number
  readonly #users = new Map<string, UserSlots>()
  /** Second of the Unix epoch -> holds that end in it. */
  readonly #holds = new Map<number, number>()

  constructor(options: RebuiltSaleOptions) {
    const { terms, shard, nowMs } = options
    this.#options = options
    this.#part = { sale: terms.sale, shards: terms.shards, shard }
    this.#nowMs = nowMs
  }

  async fill(): Promise<void> {
    const { session, terms } = this.#options
    const counts = await outcomeCounts(session, this.#part)
    this.#nowMs = Math.max(this.#nowMs, ...counts.map(({ newestMs }) => newestMs))
    for await (const rows of soldItems(session, this.#part)) await this.#put('items', rows.flatMap(this.#soldItem))
    for await (const rows of heldItems(session, this.#part)) await this.#put('items', rows.flatMap(this.#heldItem))
    for await (const rows of lapsedNonces(session, this.#part)) {
      await this.#put(
        'lapsed',
        rows.map(({ nonce }) => nonce),
      )
    }
    for await (const rows of slotsInOrder(session, this.#part)) rows.forEach(this.#takeSlot)
    await this.#put(
      'users',
      [...this.#users].flatMap(([user, slots]) => [user, encodeUserEntry(slots.entry, terms.opensAtMs, terms.shards)]),
    )
    await this.#put('holds', [...this.#holds].flat())
    await this.#put(
      'counts',
      counts.flatMap(({ outcome, count }) => [outcome, count]),
    )
  }

  readonly #soldItem = ({ item, user, nonce, atMs }: SoldRow): [string, Buffer] => {
    this.sold += 1
    return [item, this.#itemEntry({ state: 'sold', nonce, user, atMs })]
  }

  readonly #heldItem = ({ item, user, nonce, endMs }: HeldRow): [string, Buffer] => {
    if (endMs === null) return [item, encodeReleasedItem({ nonce, user })]
    if (endMs > this.#nowMs) {
      this.held += 1
      const second = Math.floor(endMs / 1_000)
      this.#holds.set(second, (this.#holds.get(second) ?? 0) + 1)
    }
    return [item, this.#itemEntry({ state: 'held', nonce, user, atMs: endMs })]
  }

  readonly #takeSlot = (row: SlotRow): void => this.#slotsOf(row.user).take(row)

  #slotsOf(user: string): UserSlots {
    const { shards, userLimit: limit } = this.#options.terms
    const slots = this.#users.get(user) ?? new UserSlots({ user, limit, shards, shard: this.#part.shard })
    this.#users.set(user, slots)
    return slots
  }

  #itemEntry(item: ItemEntry): Buffer {
    return encodeItemEntry(item, this.#options.terms.opensAtMs)
  }

  async #put(part: SalePart, values: readonly (string | number | Buffer)[]): Promise<void> {
    await this.#options.writer.put(this.#options.terms.sale, part, values)
  }
}
