import type { SaleTerms } from '../../../core/decisions.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import type { BegunEpoch } from '../../../core/postgres/log-epochs.ts'
import { entriesBetween } from '../../../core/recovery/log-chain.ts'
import { firstShard, shardNumbers } from '../../../core/shards.ts'
import { auditAheadMs } from '../../limits.ts'
import type { Breaches } from './breaches.ts'
import { compareCounts, compareSale } from './compare.ts'
import { checkPlaces, unbrokenSince } from './log-checks.ts'
import {
  type Attempts,
  type AuditedRecord,
  type Cuts,
  noAttempts,
  type PartMap,
  type RetiredDays,
  recordChecks,
} from './postgres-side.ts'
import type { RedisSale, ShardSide } from './redis-side.ts'
import type { SaleReport } from './report.ts'
import { describeSale, type PartReport, sumOf, total } from './sale-reports.ts'

export interface CompareAllOptions {
  readonly record: AuditedRecord
  readonly sides: readonly ShardSide[]
  /** Of each shard, in the same moment of Postgres. */
  readonly offsets: readonly LogPosition[]
  readonly only: number | undefined
  readonly breaches: Breaches
}

export interface Compared {
  readonly offsets: readonly LogPosition[]
  readonly sales: readonly SaleReport[]
  readonly unlisted: { readonly redis: number; readonly postgres: number }
  /** Attempts on record; undefined when only one sale was asked for. */
  readonly rows: number | undefined
  readonly retired: RetiredDays | undefined
}

/** What Redis has said against one moment of Postgres. */
export function compareAll(options: CompareAllOptions): Compared {
  const { record, sides, offsets, only, breaches } = options
  const ends = offsets.map((offset, shard) => ({ offset, epochs: record.epochs(shard) }))
  const recorded = new Map(record.sales(only).map((terms) => [terms.sale, terms]))
  for (const check of recordChecks) breaches.addAll(check, record.breaches(check, { sale: only }))
  const places = only === undefined ? record.places() : undefined
  if (places !== undefined) checkPlaces(places, salesOpened(recorded.values(), sides.length), breaches)

  const cuts = cutsOf(sides, only)
  const first = sides[firstShard]
  const since = first === undefined ? 0 : unbrokenSince(first.extent.last.epoch, ends[firstShard]?.epochs ?? [])
  const attempts = record.attempts(cuts, since)
  const whole = sides.filter((side) => isAt(ends, side.shard, side.position)).map(({ shard }) => shard)
  if (sides.length > 1) {
    breaches.addAll('right_not_lent', record.notLent(cuts, whole))
    for (const sale of new Set(sides.flatMap(({ sales }) => [...sales.keys()]))) checkLimit(sides, sale, breaches)
  }

  const context = { ...options, ends, recorded, attempts, whole: new Set(whole) }
  const purchases = record.purchaseCounts(only)
  const numbers = new Set([...recorded.keys(), ...sides.flatMap(({ sales }) => [...sales.keys()])])
  const sales = [...numbers].toSorted((a, b) => a - b).map((sale) => reportOf(sale, { ...context, purchases }))
  const unlisted = {
    redis: sumOf(sides.map(({ extent }) => extent.unlistedCounts)),
    postgres: (attempts.get({ sale: null, shard: firstShard }) ?? noAttempts).counts,
  }
  if (only === undefined && first !== undefined) {
    const isComplete = isAt(ends, firstShard, first.extent.last)
    compareCounts({ of: { sale: null }, ...unlisted }, { breaches, isComplete })
  }
  return {
    offsets,
    sales,
    unlisted: { redis: total(unlisted.redis), postgres: total(unlisted.postgres) },
    rows: places?.attempts,
    retired: record.retired(),
  }
}

/** How far a shard's log is in Postgres, and how its epochs follow on each other. */
interface LogEnd {
  readonly offset: LogPosition
  readonly epochs: readonly BegunEpoch[]
}

function isAt(ends: readonly LogEnd[], shard: number, position: LogPosition): boolean {
  const end = ends[shard]
  return end !== undefined && entriesBetween(end.offset, position, end.epochs) === 0
}

/** How many sales on record each shard has opened, or was to open. */
function salesOpened(sales: Iterable<SaleTerms>, count: number): ReadonlyMap<number, number> {
  const opened = new Map<number, number>(shardNumbers(count).map((shard) => [shard, 0]))
  for (const { shards } of sales)
    for (const shard of shardNumbers(shards)) opened.set(shard, (opened.get(shard) ?? 0) + 1)
  return opened
}

function cutsOf(sides: readonly ShardSide[], sale: number | undefined): Cuts {
  const parts = sides.flatMap(({ shard, sales }) =>
    [...sales].flatMap(([number, snapshot]) =>
      snapshot === undefined ? [] : [{ sale: number, shard, upTo: snapshot.position }],
    ),
  )
  return { parts, others: sides.map(({ extent }) => extent.last), sale }
}

/** Purchases stay: so those that the shards have had, each at a moment of its own, are together no more than the limit. */
function checkLimit(sides: readonly ShardSide[], sale: number, breaches: Breaches): void {
  const parts = sides.flatMap(({ sales }) => sales.get(sale) ?? [])
  const [part] = parts
  if (part === undefined || parts.length < 2) return
  const bought = new Map<string, number>()
  for (const { sold } of parts) for (const { user } of sold.values()) bought.set(user, (bought.get(user) ?? 0) + 1)
  const { userLimit: limit } = part.terms
  for (const [user, purchases] of bought)
    if (purchases > limit) breaches.add('over_limit', { where: 'Redis, all shards', sale, user, purchases, limit })
}

interface SaleContext extends CompareAllOptions {
  readonly ends: readonly LogEnd[]
  readonly recorded: ReadonlyMap<number, SaleTerms>
  readonly attempts: PartMap<Attempts>
  /** Sale -> purchases on record. */
  readonly purchases: ReadonlyMap<number, number>
  /** Shards of whose logs Postgres has all that was read. */
  readonly whole: ReadonlySet<number>
}

/** Compares a sale in each of its shards. */
function reportOf(sale: number, context: SaleContext): SaleReport {
  const { sides, recorded, attempts, purchases } = context
  const terms = recorded.get(sale)
  const known = sides.flatMap((side) => side.sales.get(sale) ?? [])
  // Redis has dropped its keys, or the sale was opened after Redis was read.
  if (known.length === 0) {
    const counts = sumOf(sides.map(({ shard }) => (attempts.get({ sale, shard }) ?? noAttempts).counts))
    const part = { state: 'postgres_alone', redis: undefined, counts, purchases: purchases.get(sale) ?? 0 } as const
    return describeSale(sale, terms, [part])
  }
  return describeSale(
    sale,
    terms,
    known.map((redis) => comparePart(redis, context)),
  )
}

function comparePart(redis: RedisSale, context: SaleContext): PartReport {
  const { record, recorded, attempts, ends, breaches, whole, sides } = context
  const { shard, position } = redis
  const { sale, shards } = redis.terms
  const purchases = record.purchases({ sale, shard, shards }, position)
  const { counts, latestMs } = attempts.get({ sale, shard }) ?? noAttempts
  const isComplete = isAt(ends, shard, position)
  const rights = shards === 1 ? [] : record.rights({ sale, shard }, position)
  const movedMs = shards === 1 ? 0 : record.latestTransferMs({ sale, shard }, position)
  const onRecord = {
    terms: recorded.get(sale),
    purchases,
    released: record.released({ sale, shard, shards }, position),
    counts,
    latestMs: Math.max(latestMs, movedMs),
    rights,
    isReminded: isReminded(redis, record),
  }
  const remindedPeers = new Map<number, RedisSale>()
  for (const side of sides) {
    const part = side.sales.get(sale)
    if (part !== undefined && side.shard !== shard && isReminded(part, record)) remindedPeers.set(side.shard, part)
  }
  compareSale(redis, onRecord, { breaches, isComplete, completePeers: whole, remindedPeers })
  return { state: isComplete ? 'compared' : 'not_drained', redis, counts, purchases: purchases.size }
}

/** Before its first epoch a shard has forgotten nothing. A sale is opened at most so long before its time. */
function isReminded({ shard, terms }: RedisSale, record: AuditedRecord): boolean {
  if (terms.shards === 1) return false
  const [, ...others] = record.epochs(shard)
  return others.some(({ begunAtMs }) => begunAtMs > terms.opensAtMs - auditAheadMs)
}
