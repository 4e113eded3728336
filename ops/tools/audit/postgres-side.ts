import { readFileSync } from 'node:fs'
import type { SaleTerms } from '../../../core/decisions.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import { outcomes, unlistedOutcomes } from '../../../core/outcomes.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { attemptTables, dailyTables } from '../../../core/postgres/daily-tables.ts'
import type { BegunEpoch } from '../../../core/postgres/log-epochs.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { saleTermsColumns } from '../../../core/postgres/recorded-sales.ts'
import { firstShard } from '../../../core/shards.ts'
import { auditBreachRowsMax, auditPurchasesPerRead, auditSortMemory } from '../../limits.ts'
import type { BreachRow, Check } from './breaches.ts'
import type { Purchase } from './redis-side.ts'

/** Checks of Postgres by itself: each is a query that returns what is wrong, in checks/<name>.sql. */
export const recordChecks = [
  'row_beyond_offset',
  'sold_twice',
  'over_limit',
  'attempt_unlike_purchase',
  'retired_differs',
  'holder_differs',
  'release_differs',
  'outside_sale',
] as const satisfies readonly Check[]

const recordQueries = new Map(recordChecks.map((check) => [check, readQuery(check)]))
const placesQuery = readQuery('places')
const countsQuery = readQuery('attempt_counts')
const notLentQuery = readQuery('right_not_lent')
const rightsQuery = readQuery('rights')
/** The attempts with their shards, which the others use: it costs a join, where there are several. */
const [oneShard, severalShards] = [readQuery('attempts_of_one_shard'), readQuery('attempts_of_shards')]

function readQuery(name: string): string {
  return readFileSync(new URL(`./checks/${name.replaceAll('_', '-')}.sql`, import.meta.url), 'utf8')
}

/** How many rows are wrong, and the first of them. */
export interface FoundRows {
  readonly count: number
  readonly rows: readonly BreachRow[]
}

export interface PlacesFound {
  /** Of each shard: since which epoch the end of each one is known, and how many entries have no row. */
  readonly logs: readonly { shard: number; since: number; absent: number }[]
  readonly attempts: number
  readonly absent: Pick<FoundRows, 'rows'>
  readonly doubled: FoundRows
  readonly missing: FoundRows
}

export const noAttempts: Attempts = { counts: new Map(), latestMs: 0 }

/** The attempts of a sale in one shard. */
export interface Attempts {
  /** Outcome code -> attempts. */
  readonly counts: ReadonlyMap<number, number>
  /** When the last one was decided by Redis' clock, ms since the epoch. */
  readonly latestMs: number
}

/** A sale in one shard; null: what names no listed sale. */
export interface SalePart {
  readonly sale: number | null
  readonly shard: number
}

/** Up to where the rows of each shard's log count. */
export interface Cuts {
  /** For a sale in a shard, where it has a place of its own. */
  readonly parts: readonly (SalePart & { readonly upTo: LogPosition })[]
  /** Of each shard, for all others. */
  readonly others: readonly LogPosition[]
  /** The one sale that was asked for. */
  readonly sale: number | undefined
}

/** An epoch of a log. */
export interface KnownEpoch extends BegunEpoch {
  /** By Postgres' clock, ms since the epoch. */
  readonly begunAtMs: number
}

interface EpochRow {
  readonly epoch: number
  readonly afterEpoch: number | null
  readonly afterSeq: number | null
  readonly begunAtMs: number
}

/** The days (UTC) whose attempts are no longer on record. */
export interface RetiredDays {
  readonly days: number
  readonly first: string
  readonly last: string
  readonly attempts: number
}

/** What is on record of a user's rights between a shard and a peer, both counted from the beginning. */
export interface RecordedRights {
  readonly user: string
  readonly peer: number
  /** The shard's own word, up to a place in its log. */
  readonly lent: number
  readonly got: number
  /** The peer's word, as far as its log is there: got from the shard, lent to it. */
  readonly taken: number
  readonly given: number
}

/**
 * The record in Postgres. Everything that reads rows goes over them as a set, in the database; what comes here is what
 * is wrong, sums, and the purchases and rights of one sale.
 */
export class AuditedRecord {
  readonly shardCount: number
  readonly #postgres: Postgres

  /** @throws PostgresFault; Fault HC_SCHEMA when a shard has no offset */
  constructor(postgres: Postgres) {
    this.#postgres = postgres
    this.shardCount = shardCountOf(postgres.query<{ shard: number }>(shardsText))
  }

  /**
   * Runs `work` on one state of the database. It may write nothing. The lock comes before the state: no partition may go between
   * the state, which lacks what is kept of it, and the statement that reads its rows.
   * @throws PostgresFault
   */
  inOneMoment<Result>(work: () => Result): Result {
    return this.#postgres.transaction(() => {
      this.#postgres.query('set transaction isolation level repeatable read, read only')
      this.#postgres.query(`lock table ${dailyTables.map((table) => `only ${table}`).join(', ')} in access share mode`)
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

  /** Whether a shard must have known of a sale: the first one opens it, the others have decided in it. */
  hasKnown({ sale, shards }: SaleTerms, shard: number): boolean {
    if (shard === firstShard) return true
    const isOfShard = `sale_id = $1 and shard_of(item_index, $2::smallint, outcome) = $3`
    const found = this.#postgres.query(
      `${attemptTables.map((table) => `select from ${table} where ${isOfShard}`).join(' union all ')} limit 1`,
      [sale, shards, shard],
    )
    return found.length > 0
  }

  /** All epochs of a shard's log that are known. */
  epochs(shard: number): KnownEpoch[] {
    const rows = this.#postgres.query<EpochRow>(
      `select epoch::float8, after_epoch::float8 as "afterEpoch", after_seq::float8 as "afterSeq",
              (extract(epoch from begun_at) * 1000)::float8 as "begunAtMs"
       from log_epochs where shard = $1 order by epoch`,
      [shard],
    )
    return rows.map(({ epoch, afterEpoch, afterSeq, begunAtMs }) => {
      const after = afterEpoch === null || afterSeq === null ? undefined : { epoch: afterEpoch, seq: afterSeq }
      return { epoch, after, begunAtMs }
    })
  }

  /** What one of `recordChecks` finds. */
  breaches(check: (typeof recordChecks)[number], { sale }: { sale: number | undefined }): FoundRows {
    return this.#found(recordQueries.get(check) ?? '', [], sale)
  }

  /**
   * Rights that a shard has got up to its cut and that were not lent.
   * @param lenders whose logs are there to an end that was read after all the cuts
   */
  notLent({ parts, others, sale }: Cuts, lenders: readonly number[]): FoundRows {
    const cuts = [...cutParameters(parts, others), arrayLiteral(lenders), sale ?? null]
    return this.#found(notLentQuery, cuts, sale)
  }

  /** `query` has its own parameters, and the table `asked` with the one sale that was asked for. */
  #found(query: string, parameters: readonly (number | string | null)[], sale: number | undefined): FoundRows {
    const [saleAt, limitAt] = [parameters.length + 1, parameters.length + 2]
    const text = `with asked as (select $${saleAt}::bigint as sale), ${this.#attemptsOfShards},
      breaches as materialized (${query})
      select (select count(*) from breaches)::float8 as count,
        (select coalesce(json_agg(b), '[]') from (select * from breaches limit $${limitAt}) b)::text as rows`
    const values = [...parameters, sale ?? null, auditBreachRowsMax]
    const [found] = this.#postgres.query<{ count: number; rows: string }>(text, values)
    return { count: found?.count ?? 0, rows: this.#shown(JSON.parse(found?.rows ?? '[]') as BreachRow[]) }
  }

  get #attemptsOfShards(): string {
    return this.shardCount === 1 ? oneShard : severalShards
  }

  /** Where there is one shard, nobody needs to know of shards. */
  #shown(rows: readonly BreachRow[]): readonly BreachRow[] {
    if (this.shardCount > 1) return rows
    return rows.map(({ shard: _only, ...row }) => row)
  }

  places(): PlacesFound {
    const text = `with ${this.#attemptsOfShards} select found from (${placesQuery}) places`
    const [row] = this.#postgres.query<{ found: string }>(text, [auditBreachRowsMax])
    const { absent, doubled, missing, ...sums } = JSON.parse(row?.found ?? '') as PlacesFound
    const shown = <Found extends Pick<FoundRows, 'rows'>>(found: Found) => ({ ...found, rows: this.#shown(found.rows) })
    return { ...sums, absent: shown(absent), doubled: shown(doubled), missing: shown(missing) }
  }

  /**
   * Attempts by sale, shard and outcome, each sale's up to its own place in the shard's log.
   * @param unlistedSince of those that named no listed sale only these epochs count
   */
  attempts({ parts, others, sale }: Cuts, unlistedSince: number): PartMap<Attempts> {
    const rows = this.#postgres.query<SalePart & { outcome: number; attempts: number; latestMs: number }>(
      `with ${this.#attemptsOfShards} select * from (${countsQuery}) counted`,
      [
        ...cutParameters(parts, others),
        arrayLiteral(unlistedOutcomes.map((name) => outcomes[name].code)),
        unlistedSince,
        sale ?? null,
      ],
    )
    const attempts = new PartMap<Attempts>()
    for (const row of rows) {
      const before = attempts.get(row) ?? noAttempts
      const counts = new Map([...before.counts, [row.outcome, row.attempts]])
      attempts.set(row, { counts, latestMs: Math.max(before.latestMs, row.latestMs) })
    }
    return attempts
  }

  /** undefined: there are none. */
  retired(): RetiredDays | undefined {
    const [row] = this.#postgres.query<RetiredDays>(
      `select count(distinct day)::float8 as days, min(day)::text as first, max(day)::text as last,
              coalesce(sum(attempts), 0)::float8 as attempts from retired_days`,
    )
    return row === undefined || row.days === 0 ? undefined : row
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

  /** Item index -> purchase, of the items of one shard, up to a place in its log. Of an item that is there twice, one. */
  purchases(part: { sale: number; shard: number; shards: number }, upTo: LogPosition): Map<number, Purchase> {
    const { sale, shard, shards } = part
    const purchases = new Map<number, Purchase>()
    const isOfShard = shards === 1 ? '$6::int = 1' : `shard_of(item_index, $6::smallint, 21::smallint) = ${shard}`
    let after = Number.MIN_SAFE_INTEGER
    for (;;) {
      const rows = this.#postgres.query<{ item: number } & Purchase>(
        `select item_index::float8 as item, user_id as user, nonce,
                (extract(epoch from purchased_at) * 1000)::float8 as "purchasedAtMs"
         from purchases
         where sale_id = $1 and item_index > $2 and (epoch, batch) <= ($3::bigint, $4::bigint) and ${isOfShard}
         order by item_index limit $5`,
        [sale, after, upTo.epoch, upTo.seq, auditPurchasesPerRead, shards],
      )
      for (const { item, user, nonce, purchasedAtMs } of rows) purchases.set(item, { user, nonce, purchasedAtMs })
      const last = rows.at(-1)
      if (last === undefined || rows.length < auditPurchasesPerRead) return purchases
      after = last.item
    }
  }

  /** The nonces of codes that were released, of the items of one shard, up to a place in its log. */
  released(part: { sale: number; shard: number; shards: number }, upTo: LogPosition): Set<string> {
    const { sale, shard, shards } = part
    const rows = this.#postgres.query<{ nonce: string }>(
      `select nonce from release_attempts
       where sale_id = $1 and outcome = ${outcomes.released.code} and (epoch, batch) <= ($2::bigint, $3::bigint)
         and shard_of(item_index, $4::smallint, outcome) = $5`,
      [sale, upTo.epoch, upTo.seq, shards, shard],
    )
    return new Set(rows.map(({ nonce }) => nonce))
  }

  /** Of one sale in one shard, up to a place in its log. */
  rights({ sale, shard }: { sale: number; shard: number }, upTo: LogPosition): RecordedRights[] {
    return this.#postgres.query<RecordedRights>(rightsQuery, [sale, shard, upTo.epoch, upTo.seq])
  }

  /** When a right was last moved in a sale by a shard, up to a place in its log; 0: never. Ms since the epoch. */
  latestTransferMs({ sale, shard }: { sale: number; shard: number }, upTo: LogPosition): number {
    const [row] = this.#postgres.query<{ latestMs: number | null }>(
      `select (extract(epoch from max(decided_at)) * 1000)::float8 as "latestMs" from right_transfers
       where sale_id = $1 and shard = $2 and (epoch, batch) <= ($3::bigint, $4::bigint)`,
      [sale, shard, upTo.epoch, upTo.seq],
    )
    return row?.latestMs ?? 0
  }
}

/** Values by sale and shard. */
export class PartMap<Value> {
  readonly #values = new Map<string, Value>()

  get({ sale, shard }: SalePart): Value | undefined {
    return this.#values.get(`${sale} ${shard}`)
  }

  set({ sale, shard }: SalePart, value: Value): void {
    this.#values.set(`${sale} ${shard}`, value)
  }
}

/** The first seven parameters of the queries that have cuts. */
function cutParameters(parts: Cuts['parts'], others: Cuts['others']): string[] {
  return [
    arrayLiteral(parts.map(({ sale }) => sale ?? 0)),
    arrayLiteral(parts.map(({ shard }) => shard)),
    arrayLiteral(parts.map(({ upTo }) => upTo.epoch)),
    arrayLiteral(parts.map(({ upTo }) => upTo.seq)),
    arrayLiteral(others.map((_, place) => firstShard + place)),
    arrayLiteral(others.map(({ epoch }) => epoch)),
    arrayLiteral(others.map(({ seq }) => seq)),
  ]
}

function arrayLiteral(numbers: Iterable<number>): string {
  return `{${[...numbers].join(',')}}`
}
