import { setTimeout as delay } from 'node:timers/promises'
import type { SaleTerms } from '../../../core/decisions.ts'
import { auditPollMs } from '../../../core/limits.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import { outcomes } from '../../../core/outcomes.ts'
import { committedPosition } from '../../../core/postgres/committed-position.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import type { LogState, SaleStore } from '../../../core/redis/sale-store.ts'
import { isoTime } from '../../../core/time.ts'
import { Breaches } from './breaches.ts'
import { compareCounts, compareSale } from './compare.ts'
import { checkLogExtent, checkPlaces } from './log-checks.ts'
import { type LogExtent, readLogExtent } from './log-extent.ts'
import { AuditedRecord, noAttempts, recordChecks } from './postgres-side.ts'
import { decodeSnapshot, type RedisSale } from './redis-side.ts'
import type { AuditReport, SaleReport } from './report.ts'

export interface AuditOptions {
  /** The one sale to look at: the places of all attempts in the log are left out then. */
  readonly sale: number | undefined
  /** How long Postgres may take to get to where Redis was when it was read. */
  readonly waitMs: number
  /** Called when there is something to wait for. */
  readonly onWait: (entries: number) => void
}

interface Sources {
  readonly store: SaleStore
  readonly postgres: Postgres
}

/** What Redis said, each sale at a moment of its own. */
interface RedisSide {
  readonly extent: LogExtent
  /** Listed sales; undefined: Redis has dropped its keys. */
  readonly sales: ReadonlyMap<number, RedisSale | undefined>
  /** The latest of those moments. */
  readonly position: LogPosition
}

/**
 * Compares Redis and Postgres while they may be at work. First Redis is read: each sale in one atomic step, which also
 * says up to which log entry it is. Then it waits until Postgres has the log up to there, and compares what Postgres
 * has up to there, in one transaction.
 * @throws Fault when one of them cannot be read; Error when neither has the sale that was asked for
 */
export async function audit(sources: Sources, options: AuditOptions): Promise<AuditReport> {
  const { store, postgres } = sources
  const startedAtMs = Date.now()
  const breaches = new Breaches()
  const before = offsetOf(sources)
  const extent = await readLogExtent(store.redis, store.keys)
  checkLogExtent(extent, { before, after: offsetOf(sources) }, breaches)
  const redis = await readSales(store, extent, options.sale)

  await untilDrained(sources, redis.position, options)
  const record = new AuditedRecord(postgres)
  const recordedEarly = record.sales(options.sale)
  const listedLate = new Set((await store.listSales()).map(({ sale }) => sale))
  const logState = await store.logState()
  const isForgotten = ({ sale, closesAtMs }: SaleTerms) =>
    !redis.sales.has(sale) && !listedLate.has(sale) && closesAtMs > logState.nowMs
  for (const { sale, closesAtMs } of recordedEarly.filter(isForgotten)) {
    breaches.add('sale_forgotten', { sale, closes_at: isoTime(closesAtMs) })
  }

  const compared = record.inOneMoment(() => {
    return compareAll({ record, redis, offset: offsetOf(sources), only: options.sale, breaches })
  })
  if (options.sale !== undefined && compared.sales.length === 0) {
    throw new Error(`neither Redis nor Postgres has a sale ${options.sale}`)
  }
  const notChecked =
    compareLogPositions(compared.offset, redis.position) < 0 ? [undrained(compared.offset, redis, logState)] : []
  return {
    verdict: breaches.any ? 'breached' : notChecked.length > 0 ? 'incomplete' : 'passed',
    startedAtMs,
    tookMs: Date.now() - startedAtMs,
    log: describeLog(compared.offset, logState),
    sales: compared.sales,
    unlisted: compared.unlisted,
    rows: compared.rows,
    breaches,
    notChecked,
    wholeRecord: options.sale === undefined,
  }
}

function offsetOf({ postgres, store }: Sources): LogPosition {
  return committedPosition(postgres, store.shard)
}

async function readSales(store: SaleStore, extent: LogExtent, only: number | undefined): Promise<RedisSide> {
  const listed = (await store.listSales()).map(({ sale }) => sale)
  const sales = new Map<number, RedisSale | undefined>()
  let position = extent.last
  for (const sale of listed) {
    if (only !== undefined && sale !== only) continue
    const snapshot = decodeSnapshot(await store.snapshot(sale))
    sales.set(sale, snapshot)
    if (snapshot !== undefined && compareLogPositions(snapshot.position, position) > 0) position = snapshot.position
  }
  return { extent, sales, position }
}

async function untilDrained(sources: Sources, target: LogPosition, options: AuditOptions): Promise<void> {
  const deadline = performance.now() + options.waitMs
  let told = false
  while (compareLogPositions(offsetOf(sources), target) < 0 && performance.now() < deadline) {
    if (!told) options.onWait((await sources.store.logState()).backlogEntries)
    told = true
    await delay(auditPollMs)
  }
}

function compareAll(options: {
  record: AuditedRecord
  redis: RedisSide
  offset: LogPosition
  only: number | undefined
  breaches: Breaches
}) {
  const { record, redis, offset, only, breaches } = options
  const recorded = new Map(record.sales(only).map((terms) => [terms.sale, terms]))
  for (const check of recordChecks) breaches.addAll(check, record.breaches(check, { offset, sale: only }))
  const places = only === undefined ? record.places(offset) : undefined
  if (places !== undefined) checkPlaces(places, { salesOpened: recorded.size, lastEpoch: offset.epoch }, breaches)

  const cuts = new Map<number, LogPosition>()
  for (const [sale, snapshot] of redis.sales) if (snapshot !== undefined) cuts.set(sale, snapshot.position)
  const attempts = record.attempts({ cuts, others: redis.extent.last, sale: only })
  const purchaseCounts = record.purchaseCounts(only)
  const isComplete = (position: LogPosition) => compareLogPositions(offset, position) >= 0

  const sales: SaleReport[] = []
  for (const sale of new Set([...recorded.keys(), ...redis.sales.keys()])) {
    const snapshot = redis.sales.get(sale)
    const { counts, latestMs } = attempts.get(sale) ?? noAttempts
    const terms = recorded.get(sale)
    if (snapshot === undefined) {
      // Redis has dropped its keys, or the sale was opened after Redis was read.
      const recordedSide = { terms, purchases: purchaseCounts.get(sale) ?? 0, counts }
      sales.push(describeSale(sale, undefined, { ...recordedSide, state: 'postgres_alone' }))
      continue
    }
    const purchases = record.purchases(sale, snapshot.position)
    const complete = isComplete(snapshot.position)
    compareSale(snapshot, { terms, purchases, counts, latestMs }, { breaches, isComplete: complete })
    const recordedSide = { terms, purchases: purchases.size, counts }
    sales.push(describeSale(sale, snapshot, { ...recordedSide, state: complete ? 'compared' : 'not_drained' }))
  }
  const unlisted = { redis: redis.extent.unlistedCounts, postgres: (attempts.get(null) ?? noAttempts).counts }
  if (only === undefined) {
    compareCounts({ sale: null, ...unlisted }, { breaches, isComplete: isComplete(redis.extent.last) })
  }
  return {
    offset,
    sales: sales.toSorted((a, b) => a.sale - b.sale),
    unlisted: { redis: total(unlisted.redis), postgres: total(unlisted.postgres) },
    rows: places?.epochs.reduce((sum, { rows }) => sum + rows, 0),
  }
}

function describeSale(
  sale: number,
  snapshot: RedisSale | undefined,
  side: {
    state: SaleReport['state']
    terms: SaleTerms | undefined
    purchases: number
    counts: ReadonlyMap<number, number>
  },
): SaleReport {
  const terms = snapshot?.terms ?? side.terms
  return {
    sale,
    state: side.state,
    opensAtMs: terms?.opensAtMs,
    items: terms?.items,
    redis: snapshot && {
      sold: snapshot.sold.size,
      held: [...snapshot.held.values()].filter(({ expiresAtMs }) => expiresAtMs > snapshot.nowMs).length,
      attempts: total(snapshot.counts),
    },
    postgres: { purchases: side.purchases, attempts: total(side.counts), outcomes: named(side.counts) },
  }
}

function total(counts: ReadonlyMap<number, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

function named(counts: ReadonlyMap<number, number>): Record<string, number> {
  const known = Object.entries(outcomes).filter(([, { code }]) => counts.has(code))
  return Object.fromEntries(known.map(([name, { code }]) => [name, counts.get(code) ?? 0]))
}

function describeLog(offset: LogPosition, state: LogState): AuditReport['log'] {
  const { last, backlogEntries, lagSeconds, persister } = state
  return {
    offset,
    last: formatLogPosition(last),
    backlogEntries,
    lagSeconds,
    persister: persister?.state ?? 'silent',
  }
}

function undrained(offset: LogPosition, redis: RedisSide, state: LogState): string {
  const persister = {
    active: 'the persister is at work: --wait-seconds gives it longer',
    standby: 'the persister stands by',
    away: 'the persister says that Postgres is away',
    refused: 'the persister says that Postgres refuses its rows',
    locked: "the persister waits for another session's lock in Postgres",
    log_fault: 'the persister says that the log has a fault',
    silent: 'no persister has been heard of for a while: is the server running?',
  }[state.persister?.state ?? 'silent']
  return (
    `Postgres has the log up to ${formatLogPosition(offset)}, Redis was read at ${formatLogPosition(redis.position)}; ` +
    `${state.backlogEntries} log entries are waiting, the oldest for ${state.lagSeconds.toFixed(1)} s (${persister})`
  )
}
