import { readFileSync } from 'node:fs'
import type { SaleTerms } from '../../../core/decisions.ts'
import { auditBreachRowsMax, auditPurchasesPerRead, auditSortMemory } from '../../../core/limits.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import { outcomes, unlistedOutcomes } from '../../../core/outcomes.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { saleTermsColumns } from '../../../core/postgres/recorded-sales.ts'
import type { BreachRow, Check } from './breaches.ts'
import type { Purchase } from './redis-side.ts'

/** Checks of Postgres by itself: each is a query that returns what is wrong, in checks/<name>.sql. */
export const recordChecks = [
  'row_beyond_offset',
  'sold_twice',
  'over_limit',
  'attempt_unlike_purchase',
  'holder_differs',
  'outside_sale',
] as const satisfies readonly Check[]

const recordQueries = new Map(recordChecks.map((check) => [check, wrapped(readQuery(check))]))
const placesQuery = readQuery('places')
const countsQuery = readQuery('attempt_counts')

function readQuery(name: string): string {
  return readFileSync(new URL(`./checks/${name.replaceAll('_', '-')}.sql`, import.meta.url), 'utf8')
}

function wrapped(query: string): string {
  return `with asked as (select $1::bigint as epoch, $2::bigint as seq, $3::bigint as sale),
    breaches as materialized (${query})
    select (select count(*) from breaches)::float8 as count,
      (select coalesce(json_agg(b), '[]') from (select * from breaches limit $4) b)::text as rows`
}

/** How many rows are wrong, and the first of them. */
export interface FoundRows {
  readonly count: number
  readonly rows: readonly BreachRow[]
}

export interface PlacesFound {
  readonly epochs: readonly { epoch: number; entries: number; batches: number; rows: number }[]
  readonly absent: FoundRows
  readonly doubled: FoundRows
  readonly missing: FoundRows
}

export const noAttempts: Attempts = { counts: new Map(), latestMs: 0 }

/** The attempts of a sale. */
export interface Attempts {
  /** Outcome code -> attempts. */
  readonly counts: ReadonlyMap<number, number>
  /** When the last one was decided by Redis' clock, ms since the epoch. */
  readonly latestMs: number
}

/**
 * The record in Postgres. Everything that reads rows goes over them as a set, in the database; what comes here is what
 * is wrong, sums, and the purchases of one sale.
 */
export class AuditedRecord {
  readonly #postgres: Postgres

  constructor(postgres: Postgres) {
    this.#postgres = postgres
  }

  /** Runs `work` on one state of the database. It may write nothing. @throws PostgresFault */
  inOneMoment<Result>(work: () => Result): Result {
    return this.#postgres.transaction(() => {
      this.#postgres.query('set transaction isolation level repeatable read, read only')
      this.#postgres.query(`set local timezone = 'UTC'; set local work_mem = '${auditSortMemory}'`)
      return work()
    })
  }

  /** Sales in the order of their numbers; `only` one, or all. */
  sales(only: number | undefined): SaleTerms[] {
    return this.#postgres.query<SaleTerms>(
      `select ${saleTermsColumns} from sales where sale_id = $1::bigint or $1 is null order by sale_id`,
      [only ?? null],
    )
  }

  /** What one of `recordChecks` finds. */
  breaches(check: (typeof recordChecks)[number], asked: { offset: LogPosition; sale: number | undefined }): FoundRows {
    const { offset, sale } = asked
    const parameters = [offset.epoch, offset.seq, sale ?? null, auditBreachRowsMax]
    const [found] = this.#postgres.query<{ count: number; rows: string }>(recordQueries.get(check) ?? '', parameters)
    return { count: found?.count ?? 0, rows: JSON.parse(found?.rows ?? '[]') as BreachRow[] }
  }

  places(offset: LogPosition): PlacesFound {
    const parameters = [offset.epoch, offset.seq, auditBreachRowsMax]
    const [row] = this.#postgres.query<{ found: string }>(placesQuery, parameters)
    return JSON.parse(row?.found ?? '') as PlacesFound
  }

  /**
   * Attempts by sale (null: those that named no listed sale) and outcome, each sale's up to its own place in the log.
   * @param options.others the place for what has none
   */
  attempts(options: {
    cuts: ReadonlyMap<number, LogPosition>
    others: LogPosition
    sale: number | undefined
  }): Map<number | null, Attempts> {
    const { cuts, others, sale } = options
    const rows = this.#postgres.query<{ sale: number | null; outcome: number; attempts: number; latestMs: number }>(
      countsQuery,
      [
        arrayLiteral(cuts.keys()),
        arrayLiteral([...cuts.values()].map(({ epoch }) => epoch)),
        arrayLiteral([...cuts.values()].map(({ seq }) => seq)),
        others.epoch,
        others.seq,
        arrayLiteral(unlistedOutcomes.map((name) => outcomes[name].code)),
        sale ?? null,
      ],
    )
    const attempts = new Map<number | null, Attempts>()
    for (const row of rows) {
      const before = attempts.get(row.sale) ?? noAttempts
      const counts = new Map([...before.counts, [row.outcome, row.attempts]])
      attempts.set(row.sale, { counts, latestMs: Math.max(before.latestMs, row.latestMs) })
    }
    return attempts
  }

  /** Purchases by sale, all there are. */
  purchaseCounts(only: number | undefined): Map<number, number> {
    const rows = this.#postgres.query<{ sale: number; purchases: number }>(
      `select sale_id::float8 as sale, count(*)::float8 as purchases from purchases
       where sale_id = $1::bigint or $1 is null group by sale_id`,
      [only ?? null],
    )
    return new Map(rows.map(({ sale, purchases }) => [sale, purchases]))
  }

  /** Item index -> purchase, up to a place in the log. Of an item that is there twice, one. */
  purchases(sale: number, upTo: LogPosition): Map<number, Purchase> {
    const purchases = new Map<number, Purchase>()
    let after = Number.MIN_SAFE_INTEGER
    for (;;) {
      const rows = this.#postgres.query<{ item: number } & Purchase>(
        `select item_index::float8 as item, user_id as user, nonce,
                (extract(epoch from purchased_at) * 1000)::float8 as "purchasedAtMs"
         from purchases
         where sale_id = $1 and item_index > $2 and (epoch, batch) <= ($3::bigint, $4::bigint)
         order by item_index limit $5`,
        [sale, after, upTo.epoch, upTo.seq, auditPurchasesPerRead],
      )
      for (const { item, user, nonce, purchasedAtMs } of rows) purchases.set(item, { user, nonce, purchasedAtMs })
      const last = rows.at(-1)
      if (last === undefined || rows.length < auditPurchasesPerRead) return purchases
      after = last.item
    }
  }
}

function arrayLiteral(numbers: Iterable<number>): string {
  return `{${[...numbers].join(',')}}`
}
