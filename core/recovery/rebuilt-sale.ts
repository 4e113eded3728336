import type { SaleTerms } from '../decisions.ts'
import type { RebuildWriter, SalePart } from '../redis/rebuild-writer.ts'
import type { Session } from './record-head.ts'
import {
  heldItems,
  type ItemRow,
  lapsedNonces,
  outcomeCounts,
  type SlotRow,
  slotsInOrder,
  soldItems,
} from './sales-on-record.ts'
import { UserEntry } from './user-entry.ts'

export interface RebuiltSaleOptions {
  readonly session: Session
  readonly writer: RebuildWriter
  readonly terms: SaleTerms
  /** Redis' clock. */
  readonly nowMs: number
}

/**
 * One sale on its way from Postgres into Redis: the records that decide.lua would have left behind, but for the holds
 * that have ended in the counts of holds, which have no effect any more.
 */
export class RebuiltSale {
  sold = 0
  /** Live holds. */
  held = 0
  readonly #options: RebuiltSaleOptions
  readonly #users = new Map<string, UserEntry>()
  /** Second of the Unix epoch -> holds that end in it. */
  readonly #holds = new Map<number, number>()

  constructor(options: RebuiltSaleOptions) {
    this.#options = options
  }

  async fill(): Promise<void> {
    const { session, terms } = this.#options
    const { sale } = terms
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
      [...this.#users].flatMap(([user, entry]) => [user, entry.encode()]),
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
    return [item, this.#itemRecord('s', nonce, { atMs, user })]
  }

  readonly #heldItem = ({ item, user, nonce, atMs }: ItemRow): [string, Buffer] => {
    const { nowMs } = this.#options
    if (atMs > nowMs) {
      this.held += 1
      const second = Math.floor(atMs / 1_000)
      this.#holds.set(second, (this.#holds.get(second) ?? 0) + 1)
    }
    return [item, this.#itemRecord('h', nonce, { atMs, user })]
  }

  readonly #takeSlot = ({ user, atMs, endMs, isPurchase }: SlotRow): void => {
    const { opensAtMs, userLimit } = this.#options.terms
    const entry = this.#users.get(user) ?? new UserEntry()
    this.#users.set(user, entry)
    if (isPurchase) entry.purchased(endMs - opensAtMs)
    else entry.held({ atMs: atMs - opensAtMs, endMs: endMs - opensAtMs }, userLimit)
  }

  #itemRecord(state: 'h' | 's', nonce: string, { atMs, user }: { atMs: number; user: string }): Buffer {
    const time = Buffer.alloc(4)
    time.writeUInt32BE(atMs - this.#options.terms.opensAtMs)
    return Buffer.concat([Buffer.from(state + nonce), time, Buffer.from(user)])
  }

  async #put(part: SalePart, values: readonly (string | number | Buffer)[]): Promise<void> {
    await this.#options.writer.put(this.#options.terms.sale, part, values)
  }
}
