import type { AuditVerdict } from '../../../core/audit-verdict.ts'
import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import type { HoldCode } from '../../../core/ids.ts'
import type { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { type LogOffsetRow, offsetPosition, shardCountOf } from '../../../core/postgres/log-offset.ts'
import { type OutcomeCount, outcomeCountsText, saleTermsColumns } from '../../../core/postgres/recorded-sales.ts'
import { isoTime } from '../../../core/time.ts'
import type { ReachedPositions } from './freshness.ts'

export interface RecordedPurchase {
  readonly sale: number
  readonly index: number
  readonly user: string
  readonly at: Date
}

/** So many items had been purchased by then. */
export interface CurvePoint {
  readonly at: Date
  readonly sold: number
}

/** `position` is how far Postgres had the log. */
export interface RecordedAudit {
  readonly verdict: AuditVerdict
  readonly at: Date
  readonly position: string
}

const purchaseFields = 'sale_id::float8 as sale, item_index::float8 as index, user_id as user, purchased_at as at'
const auditFields = `audit_id, verdict, started_at as at, epoch || '-' || seq as position`

/** Each is an index lookup or a short walk along an index, but for `outcomeCounts` and `purchaseCurve`, which read all rows of a sale. */
const statements = {
  reached: { name: 'reached', text: 'select shard, epoch, seq from log_offsets order by shard' },
  sales: {
    name: 'sales',
    text: `select ${saleTermsColumns} from sales where sale_id < $1 order by sale_id desc limit $2`,
  },
  sale: { name: 'sale', text: `select ${saleTermsColumns} from sales where sale_id = $1` },
  lastPurchase: {
    name: 'last_purchase',
    text: 'select count(*)::float8 as count, max(purchased_at) as at from purchases where sale_id = $1',
  },
  audit: {
    name: 'audit',
    text: `select verdict, at, position from (
        (select ${auditFields} from audits where sale_id = $1 order by audit_id desc limit 1)
        union all
        (select ${auditFields} from audits where sale_id is null order by audit_id desc limit 1)
      ) latest where at >= $2 order by audit_id desc limit 1`,
  },
  // Spans of equal length between the first purchase and the last: a sale that was over in seconds has as many points.
  purchaseCurve: {
    name: 'purchase_curve',
    text: `select at, (sum(count) over (order by at))::float8 as sold from (
        select max(purchased_at) as at, count(*) as count from purchases,
          (select min(purchased_at) as first, max(purchased_at) as last from purchases where sale_id = $1) ends
        where sale_id = $1
        group by floor(extract(epoch from purchased_at - first) * ($2::integer - 1)
          / greatest(extract(epoch from last - first), 0.001))
      ) spans order by at`,
  },
  outcomeCounts: { name: 'outcome_counts', text: outcomeCountsText },
  purchasesOf: {
    name: 'purchases_of',
    text: `select ${purchaseFields} from purchases
      where user_id = $1 and (sale_id, item_index) < ($2, $3) order by sale_id desc, item_index desc limit $4`,
  },
  purchase: {
    name: 'purchase',
    text: `select ${purchaseFields} from purchases where sale_id = $1 and item_index = $2 and nonce = $3`,
  },
} as const

/** The record in Postgres, for the routes. Every method throws Fault HC_POSTGRES_... */
export class RecordReader {
  readonly #postgres: AsyncPostgres
  /** For what takes long: a connection of its own, so that nothing else waits for it. */
  readonly #slow: AsyncPostgres
  #isSlowTaken = false

  constructor({ postgres, slow }: { postgres: AsyncPostgres; slow: AsyncPostgres }) {
    this.#postgres = postgres
    this.#slow = slow
  }

  /** How far it has each log: what is read after this has all of it. @throws Fault HC_SCHEMA too, when a shard has no row */
  async reached(): Promise<ReachedPositions> {
    const rows = await this.#postgres.query<LogOffsetRow & { shard: number }>(statements.reached)
    shardCountOf(rows)
    return rows.map(offsetPosition)
  }

  /** Those before `before`, newest first. */
  sales(before: number, limit: number): Promise<SaleTerms[]> {
    return this.#postgres.query(statements.sales, [before, limit])
  }

  async sale(sale: number): Promise<SaleTerms | undefined> {
    const [terms] = await this.#postgres.query<SaleTerms>(statements.sale, [sale])
    return terms
  }

  /** When the last of the sale's items was purchased; `undefined` when Postgres has fewer purchases. */
  async soldOutAt({ sale, items }: SaleTerms): Promise<Date | undefined> {
    const [row] = await this.#postgres.query<{ count: number; at: Date }>(statements.lastPurchase, [sale])
    return row !== undefined && row.count >= items ? row.at : undefined
  }

  /** The latest audit that has looked at the sale since it opened. */
  async audit({ sale, opensAtMs }: SaleTerms): Promise<RecordedAudit | undefined> {
    const [row] = await this.#postgres.query<RecordedAudit>(statements.audit, [sale, isoTime(opensAtMs)])
    return row
  }

  /** Outcome code -> how often it was decided for the sale, as Redis counts it. */
  async outcomeCounts(sale: number): Promise<ReadonlyMap<number, number>> {
    const rows = await this.#slowly<OutcomeCount>(statements.outcomeCounts, [sale])
    return new Map(rows.map(({ outcome, count }) => [outcome, count]))
  }

  /** In order, at most `pointsMax`: the first is soon after the first purchase, the last one is the last purchase. */
  purchaseCurve(sale: number, pointsMax: number): Promise<CurvePoint[]> {
    return this.#slowly<CurvePoint>(statements.purchaseCurve, [sale, pointsMax])
  }

  /** Of one user, newest sale first, those after `after`. */
  purchasesOf(user: string, after: { sale: number; index: number }, limit: number): Promise<RecordedPurchase[]> {
    return this.#postgres.query(statements.purchasesOf, [user, after.sale, after.index, limit])
  }

  /** One at a time: whoever waited for another would take a place of the gate's that quick reads need. */
  async #slowly<Row extends object>(
    statement: (typeof statements)[keyof typeof statements],
    values: readonly number[],
  ): Promise<Row[]> {
    if (this.#isSlowTaken) throw new Fault('HC_POSTGRES_BUSY', 'another sale is being read as a whole')
    this.#isSlowTaken = true
    try {
      return await this.#slow.query<Row>(statement, values)
    } finally {
      this.#isSlowTaken = false
    }
  }

  async purchase({ sale, index, nonce }: HoldCode): Promise<RecordedPurchase | undefined> {
    const [row] = await this.#postgres.query<RecordedPurchase>(statements.purchase, [sale, index, nonce])
    return row
  }
}
