import type { SaleTerms } from '../decisions.ts'
import { encodeItemEntry, type ItemEntry } from '../redis/item-entry.ts'
import type { RebuildWriter, SalePart } from '../redis/rebuild-writer.ts'
import { encodeUserEntry } from '../redis/user-entry.ts'
import type { Queries } from './record-head.ts'
import {
  heldItems,
  type ItemRow,
  lapsedNonces,
  outcomeCounts,
  type SlotRow,
  slotsInOrder,
  soldItems,
} from './sales-on-record.ts'
import { UserSlots } from './user-slots.ts'

export interface RebuiltSaleOptions {
  readonly session: Queries
  readonly writer: RebuildWriter
  readonly terms: SaleTerms
  /** Redis' clock. */
  readonly nowMs: number
}

/**
 * One sale on its way from Postgres into Redis: the entries and counts that its decisions have left behind. Holds that have
 * ended are not counted any more, which has no effect.
 */
export class RebuiltSale {
  sold = 0
  /** Live holds. */
  held = 0
  readonly #options: RebuiltSaleOptions
  readonly #users = new Map<string, UserSlots>()
  /** Second of the Unix epoch -> holds that end in it. */
  readonly #holds = new Map<number, number>()

  constructor(options: RebuiltSaleOptions) {
    this.#options = options
  }

  async fill(): Promise<void> {
    const { session, terms } = this.#options
    const { sale, opensAtMs } = terms
    for await (const rows of soldItems(session, sale)) await this.#put('items', rows.flatMap(this.#soldItem))
    for await (const rows of heldItems(session, sale)) await this.#put('items', rows.flatMap(this.#heldItem))
    for await (const rows of lapsedNonces(session, sale)) {
      await this.#put(
        'lapsed',
        rows.map(({ nonce }) => nonce),
      )
    }
    for await (const rows of slotsInOrder(session, sale)) rows.forEach(this.#takeSlot)
    await this.#put(
      'users',
      [...this.#users].flatMap(([user, slots]) => [user, encodeUserEntry(slots.entry, opensAtMs)]),
    )
    await this.#put('holds', [...this.#holds].flat())
    const counts = await outcomeCounts(session, sale)
    await this.#put(
      'counts',
      counts.flatMap(({ outcome, count }) => [outcome, count]),
    )
  }

  readonly #soldItem = ({ item, user, nonce, atMs }: ItemRow): [string, Buffer] => {
    this.sold += 1
    return [item, this.#itemEntry({ state: 'sold', nonce, user, atMs })]
  }

  readonly #heldItem = ({ item, user, nonce, atMs }: ItemRow): [string, Buffer] => {
    const { nowMs } = this.#options
    if (atMs > nowMs) {
      this.held += 1
      const second = Math.floor(atMs / 1_000)
      this.#holds.set(second, (this.#holds.get(second) ?? 0) + 1)
    }
    return [item, this.#itemEntry({ state: 'held', nonce, user, atMs })]
  }

  readonly #takeSlot = ({ user, atMs, endMs, isPurchase }: SlotRow): void => {
    const slots = this.#users.get(user) ?? new UserSlots()
    this.#users.set(user, slots)
    if (isPurchase) slots.purchased(endMs)
    else slots.held({ atMs, endMs }, this.#options.terms.userLimit)
  }

  #itemEntry(item: ItemEntry): Buffer {
    return encodeItemEntry(item, this.#options.terms.opensAtMs)
  }

  async #put(part: SalePart, values: readonly (string | number | Buffer)[]): Promise<void> {
    await this.#options.writer.put(this.#options.terms.sale, part, values)
  }
}
