import { auditBreachRowsMax } from '../../limits.ts'

/** Everything that the audit checks, as what holds when all is well. In the order of the report. */
export const checks = {
  offset_ahead: 'Postgres has nothing that the log in Redis has not come to yet',
  log_gap: 'of the log, Redis has every entry that Postgres does not have',
  log_entry_missing: 'every log entry up to the offset is a recorded batch or an opened sale',
  row_beyond_offset: 'no row is of a log entry after the offset',
  place_doubled: 'no attempt is recorded twice',
  place_missing: 'the attempts of a batch are recorded without a gap',
  attempts_differ: 'of every outcome there are as many attempts in Postgres as Redis decided',
  sold_twice: 'no item is sold twice',
  over_limit: 'nobody is above the limit of a sale',
  over_rights: 'nobody has more in a shard than rights there',
  right_not_lent: 'every right that a shard has got was lent to it',
  rights_differ: 'what Redis knows of lent rights is on record',
  attempt_unlike_purchase: 'the accepted purchase attempts are the purchases',
  retired_differs: 'what is kept of retired days fits the rest',
  holder_differs: 'every purchase is by who held the item, with the code of that hold, while it was alive',
  release_differs: 'every release is of a live hold, with its code, once; and Redis has those on record and no others',
  outside_sale: 'what was decided in a sale names a sale on record, and an item and a time of it',
  sale_forgotten: 'Redis knows every sale that is not over',
  terms_differ: 'a sale has the same terms in Redis and in Postgres',
  not_recorded: 'what is sold in Redis is a purchase in Postgres',
  not_sold: 'what is a purchase in Postgres is sold in Redis',
  purchase_differs: 'a purchase has the same buyer, code and time in Redis and in Postgres',
  buyer_differs: 'every buyer has as many purchases in Redis as in Postgres',
  user_record_differs: 'the entries of users in Redis agree with its entries of items',
  sold_count_differs: 'Redis counted as many purchases as it has sold items',
  record_unreadable: 'every entry in Redis can be read',
} as const satisfies Record<string, string>

export type Check = keyof typeof checks

/** What is wrong in one place, as names and values to print. */
export type BreachRow = Readonly<Record<string, string | number | null>>

interface Found {
  count: number
  readonly rows: BreachRow[]
}

/** What the audit found to be wrong: of each kind how often, and the first rows. */
export class Breaches {
  readonly #found = new Map<Check, Found>()

  add(check: Check, row: BreachRow): void {
    this.addAll(check, { count: 1, rows: [row] })
  }

  /** `count` may be more than the rows that are at hand. */
  addAll(check: Check, { count, rows }: { count: number; rows: readonly BreachRow[] }): void {
    if (count === 0) return
    const found = this.#found.get(check) ?? { count: 0, rows: [] }
    this.#found.set(check, found)
    found.count += count
    found.rows.push(...rows.slice(0, auditBreachRowsMax - found.rows.length))
  }

  get any(): boolean {
    return this.#found.size > 0
  }

  of(check: Check): Readonly<Found> {
    return this.#found.get(check) ?? { count: 0, rows: [] }
  }
}
