import type { SaleTerms } from '../decisions.ts'
import type { RebuildWriter, SalePart } from '../redis/rebuild-writer.ts'
import type { Session } from './record-head.ts'
import { heldItems, type ItemRow, lapsedNonces, outcomeCounts, soldItems } from './sales-on-record.ts'

interface User {
  purchases: number
  /** ms since the sale opened, oldest first. */
  readonly holdsEnd: number[]
}

export interface RebuiltSaleOptions {
  readonly session: Session
  readonly writer: RebuildWriter
  readonly terms: SaleTerms
  /** Redis' clock. */
  readonly nowMs: number
}

/**
 * One sale on its way from Postgres into Redis: the records that hotcakes.lua would have left behind, but for what has no
 * effect any more: in users' records and in the counts of holds those that have ended.
 */
export class RebuiltSale {
  sold = 0
  /** Live holds. */
  held = 0
  readonly #options: RebuiltSaleOptions
  readonly #users = new Map<string, User>()
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
    await this.#put(
      'users',
      [...this.#users].flatMap(([user, record]) => [user, userRecord(record)]),
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
    this.#user(user).purchases += 1
    return [item, this.#itemRecord('s', nonce, { atMs, user })]
  }

  readonly #heldItem = ({ item, user, nonce, atMs }: ItemRow): [string, Buffer] => {
    const { nowMs, terms } = this.#options
    if (atMs > nowMs) {
      this.held += 1
      this.#user(user).holdsEnd.push(atMs - terms.opensAtMs)
      const second = Math.floor(atMs / 1_000)
      this.#holds.set(second, (this.#holds.get(second) ?? 0) + 1)
    }
    return [item, this.#itemRecord('h', nonce, { atMs, user })]
  }

  #user(name: string): User {
    const known = this.#users.get(name)
    if (known !== undefined) return known
    const user = { purchases: 0, holdsEnd: [] }
    this.#users.set(name, user)
    return user
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

function userRecord({ purchases, holdsEnd }: User): Buffer {
  const record = Buffer.alloc(2 + 4 * holdsEnd.length)
  record.writeUInt16BE(purchases)
  for (const [n, end] of holdsEnd.entries()) record.writeUInt32BE(end, 2 + 4 * n)
  return record
}
