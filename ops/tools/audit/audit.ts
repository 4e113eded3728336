import { setTimeout as delay } from 'node:timers/promises'
import type { SaleTerms } from '../../../core/decisions.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import { committedPosition } from '../../../core/postgres/committed-position.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import type { BegunEpoch } from '../../../core/postgres/log-epochs.ts'
import { entriesBetween } from '../../../core/recovery/log-chain.ts'
import type { LogState, SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { isoTime } from '../../../core/time.ts'
import { auditPollMs } from '../../limits.ts'
import { Breaches } from './breaches.ts'
import { compareAll } from './compare-all.ts'
import { checkLogExtent } from './log-checks.ts'
import { readLogExtent } from './log-extent.ts'
import { AuditedRecord } from './postgres-side.ts'
import { decodeSnapshot, type RedisSale, type ShardSide } from './redis-side.ts'
import type { AuditReport } from './report.ts'
import { checkLent } from './rights-in-redis.ts'

export interface AuditOptions {
  /** The one sale to look at: the places of all attempts in the log are left out then. */
  readonly sale: number | undefined
  /** How long Postgres may take to get to where Redis was when it was read. */
  readonly waitMs: number
  /** Called when there is something to wait for. */
  readonly onWait: (entries: number) => void
}

export interface Sources {
  /** One of each shard that Postgres knows, by their numbers. */
  readonly stores: readonly SaleStore[]
  readonly postgres: Postgres
}

/**
 * Compares Redis and Postgres while they may be at work. First Redis is read: each sale in one atomic step of each shard, which
 * also says up to which log entry it is. Then it waits until Postgres has the logs up to there, and compares what Postgres
 * has up to there, in one transaction.
 * @throws Fault when one of them cannot be read; Error when neither has the sale that was asked for
 */
export async function audit(sources: Sources, options: AuditOptions): Promise<AuditReport> {
  const { stores, postgres } = sources
  const startedAtMs = Date.now()
  const breaches = new Breaches()
  const record = new AuditedRecord(postgres)
  const read: ShardSide[] = []
  for (const store of stores) read.push(await readShard(store, { record, postgres, only: options.sale, breaches }))
  const sides = await readAgain(read, stores, breaches)

  await untilDrained(sources, { sides, record }, options)
  const recordedEarly = record.sales(options.sale)
  const states = await Promise.all(stores.map((store) => store.logState()))
  for (const [shard, side] of sides.entries()) {
    const found = { side, recorded: recordedEarly, nowMs: states[shard]?.nowMs ?? 0, record }
    await checkForgotten(stores[shard] as SaleStore, found, breaches)
  }

  const compared = record.inOneMoment(() => {
    const offsets = stores.map(({ shard }) => committedPosition(postgres, shard))
    return compareAll({ record, sides, offsets, only: options.sale, breaches })
  })
  if (options.sale !== undefined && compared.sales.length === 0) {
    throw new Error(`neither Redis nor Postgres has a sale ${options.sale}`)
  }
  const logs = states.map((state, shard) => describeLog(shard, compared.offsets[shard] as LogPosition, state))
  const notChecked = sides.flatMap(
    (side, shard) => undrained(side, { log: logs[shard], epochs: record.epochs(shard), count: stores.length }) ?? [],
  )
  return {
    verdict: breaches.any ? 'breached' : notChecked.length > 0 ? 'incomplete' : 'passed',
    startedAtMs,
    tookMs: Date.now() - startedAtMs,
    logs,
    sales: compared.sales,
    unlisted: compared.unlisted,
    rows: compared.rows,
    retired: compared.retired,
    breaches,
    notChecked,
    wholeRecord: options.sale === undefined,
  }
}

interface ReadOptions {
  readonly record: AuditedRecord
  readonly postgres: Postgres
  readonly only: number | undefined
  readonly breaches: Breaches
}

async function readShard(store: SaleStore, { record, postgres, only, breaches }: ReadOptions): Promise<ShardSide> {
  const { shard } = store
  const before = committedPosition(postgres, shard)
  const extent = await readLogExtent(store.redis, store.keys)
  const offsets = { before, after: committedPosition(postgres, shard), epochs: record.epochs(shard) }
  checkLogExtent(extent, offsets, { breaches, of: record.shardCount > 1 ? { shard } : {} })
  const listed = (await store.listSales()).map(({ sale }) => sale)
  const sales = new Map<number, RedisSale | undefined>()
  let position = extent.last
  for (const sale of listed) {
    if (only !== undefined && sale !== only) continue
    const snapshot = decodeSnapshot(await store.snapshot(sale), shard)
    sales.set(sale, snapshot)
    if (snapshot !== undefined) position = later(position, snapshot.position)
  }
  return { shard, extent, sales, position }
}

function later(a: LogPosition, b: LogPosition): LogPosition {
  return compareLogPositions(a, b) > 0 ? a : b
}

/** What the shards say of each other: after all of them have said what they got. With one shard nobody has lent anything. */
async function readAgain(
  sides: readonly ShardSide[],
  stores: readonly SaleStore[],
  breaches: Breaches,
): Promise<readonly ShardSide[]> {
  if (stores.length === 1) return sides
  for (const sale of new Set(sides.flatMap(({ sales }) => [...sales.keys()]))) {
    const parts = sides.flatMap(({ sales }) => sales.get(sale) ?? [])
    await checkLent(parts, stores, breaches)
  }
  const ends = await Promise.all(stores.map((store) => store.logState()))
  return sides.map((side, shard) => ({ ...side, position: later(side.position, ends[shard]?.last ?? side.position) }))
}

async function untilDrained(
  { stores, postgres }: Sources,
  { sides, record }: { sides: readonly ShardSide[]; record: AuditedRecord },
  options: AuditOptions,
): Promise<void> {
  const deadline = performance.now() + options.waitMs
  const isBehind = ({ shard, position }: ShardSide) =>
    entriesBetween(committedPosition(postgres, shard), position, record.epochs(shard)) !== 0
  let told = false
  while (sides.some(isBehind) && performance.now() < deadline) {
    if (!told) {
      const states = await Promise.all(stores.map((store) => store.logState()))
      options.onWait(states.reduce((entries, { backlogEntries }) => entries + backlogEntries, 0))
    }
    told = true
    await delay(auditPollMs)
  }
}

interface ForgottenOptions {
  readonly side: ShardSide
  /** Sales on record, read after the shard was. */
  readonly recorded: readonly SaleTerms[]
  readonly nowMs: number
  readonly record: AuditedRecord
}

/** A sale that is not over and that a shard doesn't list has been forgotten by it. One may open it late, or never know of it. */
async function checkForgotten(
  store: SaleStore,
  { side, recorded, nowMs, record }: ForgottenOptions,
  breaches: Breaches,
): Promise<void> {
  const listedLate = new Set((await store.listSales()).map(({ sale }) => sale))
  for (const terms of recorded) {
    const { sale, closesAtMs } = terms
    if (side.sales.has(sale) || listedLate.has(sale) || closesAtMs <= nowMs) continue
    if (!shardNumbers(terms.shards).includes(side.shard) || !record.hasKnown(terms, side.shard)) continue
    const of = terms.shards === 1 ? { sale } : { sale, shard: side.shard }
    breaches.add('sale_forgotten', { ...of, closes_at: isoTime(closesAtMs) })
  }
}

function describeLog(shard: number, offset: LogPosition, state: LogState): AuditReport['logs'][number] {
  const { last, backlogEntries, lagSeconds, persister } = state
  return {
    shard,
    offset,
    last: formatLogPosition(last),
    backlogEntries,
    lagSeconds,
    persister: persister?.state ?? 'silent',
  }
}

const persisterSentences: Readonly<Record<string, string>> = {
  active: 'the persister is at work: --wait-seconds gives it longer',
  standby: 'the persister stands by',
  away: 'the persister says that Postgres is away',
  refused: 'the persister says that Postgres refuses its rows',
  locked: "the persister waits for another session's lock in Postgres",
  log_fault: 'the persister says that the log has a fault',
  silent: 'no persister has been heard of for a while: is the server running?',
}

/** Why not everything of a shard was checked; undefined: it was. */
function undrained(
  { shard, position }: ShardSide,
  {
    log,
    epochs,
    count,
  }: { log: AuditReport['logs'][number] | undefined; epochs: readonly BegunEpoch[]; count: number },
): string | undefined {
  // An epoch that nothing was decided in yet ends where the one before did.
  if (log === undefined || entriesBetween(log.offset, position, epochs) === 0) return undefined
  const { offset, backlogEntries, lagSeconds, persister } = log
  const whose = count > 1 ? ` of shard ${shard}` : ''
  return (
    `Postgres has the log${whose} up to ${formatLogPosition(offset)}, Redis was read at ${formatLogPosition(position)}; ` +
    `${backlogEntries} log entries are waiting, the oldest for ${lagSeconds.toFixed(1)} s (${persisterSentences[persister]})`
  )
}
