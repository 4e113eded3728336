import type { SaleTerms } from '../../../core/decisions.ts'
import { type Outcome, outcomeByCode } from '../../../core/outcomes.ts'
import { problemByOutcome } from '../http/problems.ts'
import { LastKept } from '../last-kept.ts'
import { saleCountsFreshMs, saleCountsKeptMax } from '../limits.ts'
import type { RecordReader } from './record-reader.ts'
import type { ShardedSales } from './sharded-sales.ts'

type Counts = ReadonlyMap<number, number>

export interface SaleSummariesOptions {
  readonly sales: Pick<ShardedSales, 'counts' | 'canRead'>
  readonly record: RecordReader
  /** How long after its end Redis keeps a sale. */
  readonly ttlMs: number
}

export interface Moment {
  readonly nowMs: number
  /** Everything that was decided before is in Postgres. */
  readonly drainedUntilMs: number
}

/** What became of a sale. */
export class SaleSummaries {
  readonly #options: SaleSummariesOptions
  /** Out of Postgres. */
  readonly #kept = new LastKept<number, { readonly counts: Counts; readonly untilMs: number }>(saleCountsKeptMax)
  readonly #soldOut = new LastKept<number, Date>(saleCountsKeptMax)

  constructor(options: SaleSummariesOptions) {
    this.#options = options
  }

  /** `undefined`: neither Redis nor Postgres knows the sale. @throws Fault */
  async of(sale: number, moment: Moment): Promise<object | undefined> {
    const { sales, record } = this.#options
    const listed = sales.canRead(sale) ? await sales.counts(sale) : undefined
    const terms = listed === undefined ? await record.sale(sale) : listed.terms
    if (terms === undefined) return undefined
    const isWhole = listed?.missingShards.length === 0
    const counts = isWhole ? listed.counts : await this.#recordedCounts(terms, moment)
    const audit = await record.audit(terms)
    const summary = summarise(counts)
    const soldOutAt = summary.purchases < terms.items ? undefined : await this.#soldOutAt(terms)
    return { ...describeSale(terms, moment.nowMs), ...summary, sold_out_at: soldOutAt ?? null, audit: audit ?? null }
  }

  /** For sales that Redis does not list. Once it has dropped one, nothing is added to it: then it is counted once. */
  async #recordedCounts({ sale, closesAtMs, holdMs }: SaleTerms, { nowMs, drainedUntilMs }: Moment): Promise<Counts> {
    const { record, ttlMs } = this.#options
    const kept = this.#kept.get(sale)
    if (kept !== undefined && nowMs < kept.untilMs) return kept.counts
    const counts = await record.outcomeCounts(sale)
    const isFinal = closesAtMs + holdMs + ttlMs < drainedUntilMs
    this.#kept.keep(sale, { counts, untilMs: isFinal ? Number.POSITIVE_INFINITY : nowMs + saleCountsFreshMs })
    return counts
  }

  async #soldOutAt(terms: SaleTerms): Promise<Date | undefined> {
    const known = this.#soldOut.get(terms.sale)
    if (known !== undefined) return known
    const at = await this.#options.record.soldOutAt(terms)
    if (at !== undefined) this.#soldOut.keep(terms.sale, at)
    return at
  }
}

export function describeSale({ sale, opensAtMs, closesAtMs, items, userLimit, holdMs }: SaleTerms, nowMs: number) {
  return {
    id: sale,
    state: nowMs < opensAtMs ? 'upcoming' : nowMs < closesAtMs ? 'open' : 'closed',
    opens_at: new Date(opensAtMs),
    closes_at: new Date(closesAtMs),
    items,
    user_limit: userLimit,
    hold_seconds: holdMs / 1_000,
  }
}

/** `repeats` were answered as the first time, and `rejections` with the problem of that code. */
function summarise(counts: Counts) {
  const summary = { attempts: 0, holds: 0, releases: 0, purchases: 0, repeats: 0 }
  const rejections: Record<string, number> = {}
  for (const [code, count] of counts) {
    const outcome = outcomeByCode[code]
    summary.attempts += count
    const problem = outcome && problemByOutcome[outcome]
    if (problem !== undefined) rejections[problem] = (rejections[problem] ?? 0) + count
    else summary[successes[outcome as Success]] += count
  }
  return { ...summary, rejections }
}

type Success = { [Name in Outcome]: (typeof problemByOutcome)[Name] extends undefined ? Name : never }[Outcome]
const successes = {
  held: 'holds',
  held_again: 'repeats',
  released: 'releases',
  released_again: 'repeats',
  purchased: 'purchases',
  purchased_again: 'repeats',
} as const satisfies Record<Success, string>
