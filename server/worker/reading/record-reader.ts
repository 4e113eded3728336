import type { HoldCode } from '../../../core/ids.ts'
import { outcomes, unlistedOutcomes } from '../../../core/outcomes.ts'
import type { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'

/** A row of `sales`. */
export interface RecordedSale {
  readonly id: number
  readonly opens_at: Date
  readonly closes_at: Date
  readonly items: number
  readonly user_limit: number
  readonly hold_seconds: number
}

export interface RecordedPurchase {
  readonly sale: number
  readonly index: number
  readonly user: string
  readonly at: Date
}

/** `position` is how far Postgres had the log. */
export interface RecordedAudit {
  readonly verdict: 'passed' | 'breached' | 'incomplete'
  readonly at: Date
  readonly position: string
}

const saleColumns = `sale_id::float8 as id, opens_at, closes_at, items, user_limit,
  hold_seconds::float8 as hold_seconds`
const purchaseColumns = 'sale_id::float8 as sale, item_index::float8 as index, user_id as user, purchased_at as at'
const auditColumns = `audit_id, verdict, started_at as at, epoch || '-' || seq as position`
const unlistedCodes = unlistedOutcomes.map((name) => outcomes[name].code).join(', ')

/** Each is an index lookup or a short walk along an index, but for `outcomeCounts`, which reads all rows of a sale. */
const statements = {
  sales: {
    name: 'sales',
    text: `select ${saleColumns} from sales where sale_id < $1 order by sale_id desc limit $2`,
  },
  sale: { name: 'sale', text: `select ${saleColumns} from sales where sale_id = $1` },
  lastPurchase: {
    name: 'last_purchase',
    text: 'select count(*)::float8 as count, max(purchased_at) as at from purchases where sale_id = $1',
  },
  audit: {
    name: 'audit',
    text: `select verdict, at, position from (
        (select ${auditColumns} from audits where sale_id = $1 order by audit_id desc limit 1)
        union all
        (select ${auditColumns} from audits where sale_id is null order by audit_id desc limit 1)
      ) latest where at >= $2 order by audit_id desc limit 1`,
  },
  outcomeCounts: {
    name: 'outcome_counts',
    text: `select outcome, count(*)::float8 as count from (
        select outcome from checkout_attempts where sale_id = $1
        union all select outcome from purchase_attempts where sale_id = $1
      ) attempts where outcome not in (${unlistedCodes}) group by outcome`,
  },
  purchasesOf: {
    name: 'purchases_of',
    text: `select ${purchaseColumns} from purchases
      where user_id = $1 and (sale_id, item_index) < ($2, $3) order by sale_id desc, item_index desc limit $4`,
  },
  purchase: {
    name: 'purchase',
    text: `select ${purchaseColumns} from purchases where sale_id = $1 and item_index = $2 and nonce = $3`,
  },
} as const

/** The record in Postgres, for the routes. Every method throws Fault HC_POSTGRES_... */
export class RecordReader {
  readonly #postgres: AsyncPostgres
  /** For what takes long: a connection of its own, so that nothing else waits for it. */
  readonly #slow: AsyncPostgres

  constructor({ postgres, slow }: { postgres: AsyncPostgres; slow: AsyncPostgres }) {
    this.#postgres = postgres
    this.#slow = slow
  }

  /** Those before `before`, newest first. */
  sales(before: number, limit: number): Promise<RecordedSale[]> {
    return this.#postgres.query(statements.sales, [before, limit])
  }

  async sale(sale: number): Promise<RecordedSale | undefined> {
    const [row] = await this.#postgres.query<RecordedSale>(statements.sale, [sale])
    return row
  }

  /** When the last of so many items was purchased; `undefined` when Postgres has fewer purchases. */
  async soldOutAt(sale: number, items: number): Promise<Date | undefined> {
    const [row] = await this.#postgres.query<{ count: number; at: Date }>(statements.lastPurchase, [sale])
    return row !== undefined && row.count >= items ? row.at : undefined
  }

  /** The latest audit that has looked at a sale which opened then. */
  async audit(sale: number, opensAt: Date): Promise<RecordedAudit | undefined> {
    const [row] = await this.#postgres.query<RecordedAudit>(statements.audit, [sale, opensAt.toISOString()])
    return row
  }

  /** Outcome code -> how often it was decided for the sale, as Redis counts it: without those that it did not list. */
  async outcomeCounts(sale: number): Promise<ReadonlyMap<number, number>> {
    const rows = await this.#slow.query<{ outcome: number; count: number }>(statements.outcomeCounts, [sale])
    return new Map(rows.map(({ outcome, count }) => [outcome, count]))
  }

  /** Of one user, newest sale first, those after `after`. */
  purchasesOf(user: string, after: { sale: number; index: number }, limit: number): Promise<RecordedPurchase[]> {
    return this.#postgres.query(statements.purchasesOf, [user, after.sale, after.index, limit])
  }

  async purchase({ sale, index, nonce }: HoldCode): Promise<RecordedPurchase | undefined> {
    const [row] = await this.#postgres.query<RecordedPurchase>(statements.purchase, [sale, index, nonce])
    return row
  }
}
