import type { Fault } from '../faults.ts'
import { rebuildLockMsMax } from '../limits.ts'
import { compareLogPositions, type LogPosition } from '../log-position.ts'
import { recoveryLock } from '../postgres/advisory-locks.ts'
import { RebuildWriter } from '../redis/rebuild-writer.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import { RebuiltSale } from './rebuilt-sale.ts'
import { type Queries, type RecordDatabase, readRecordHead } from './record-head.ts'
import { liveSales } from './sales-on-record.ts'
import { judge } from './verdict.ts'

export interface RecoverOptions {
  readonly store: SaleStore
  readonly database: RecordDatabase
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  /** The newest log entry that is known to have been answered. */
  readonly seen: LogPosition | undefined
  /** Progress, as sentences for people. */
  readonly say: (progress: string) => void
}

/**
 * busy: another process is at it. undrained: Redis still has log entries that Postgres lacks; a persister has to copy them
 * first. unneeded: Redis is sound, or it has a fault because of which a rebuild must not touch it.
 */
export type Recovery =
  | { readonly kind: 'begun' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'undrained'; readonly entries: number }
  | { readonly kind: 'unneeded'; readonly fault: Fault | undefined }
  | {
      readonly kind: 'rebuilt'
      readonly epoch: number
      readonly sales: readonly number[]
      readonly sold: number
      readonly held: number
      readonly seconds: number
    }

/**
 * Makes Redis what Postgres says it was: the sales in which something can still be decided, under a new epoch. Nothing is
 * decided before it ends. Any number of processes may call it at any time, and it may be cut short anywhere: the state
 * that it leaves then has no epoch, and the next call begins anew.
 * @throws Fault
 */
export async function recover(options: RecoverOptions): Promise<Recovery> {
  const { store, database } = options
  const writer = new RebuildWriter(store)
  const recovery = await database.transaction((session) => inTransaction(session, writer, options))
  // Only after the commit: from here on a persister of the time before finds that the offset has moved.
  if (recovery.kind === 'rebuilt') await writer.end(recovery.epoch)
  return recovery
}

async function inTransaction(session: Queries, writer: RebuildWriter, options: RecoverOptions): Promise<Recovery> {
  const { store, seen } = options
  const startedMs = performance.now()
  const { shard } = store
  const text = 'select pg_try_advisory_xact_lock($1, $2) as mine'
  const [lock] = await session.query<{ mine: boolean }>({ text }, recoveryLock)
  if (lock?.mine !== true) return { kind: 'busy' }
  await session.query({ text: `set local lock_timeout = ${rebuildLockMsMax}` })
  // From here on no persister commits, and what is read below is all there is.
  const head = await readRecordHead(session, shard, 'for update')
  const redis = await store.logState()
  const verdict = judge({ redis, before: head, after: head, seen })
  const epoch = 1 + Math.max(head.committed.epoch, redis.last.epoch, seen?.epoch ?? 0)
  if (verdict.kind === 'sound') return { kind: 'unneeded', fault: undefined }
  if (verdict.kind === 'refused') return { kind: 'unneeded', fault: verdict.fault }
  const isUndrained = redis.backlogEntries > 0 && compareLogPositions(redis.last, head.committed) > 0
  if (isUndrained) return { kind: 'undrained', entries: redis.backlogEntries }

  if (verdict.kind === 'new') {
    await store.claimEpoch(epoch, head.id)
    await beginEpoch(session, shard, epoch)
    return { kind: 'begun' }
  }
  const rebuilt = await rebuild(session, writer, { ...options, recordId: head.id })
  await beginEpoch(session, shard, epoch)
  return { kind: 'rebuilt', epoch, ...rebuilt, seconds: (performance.now() - startedMs) / 1_000 }
}

async function beginEpoch(session: Queries, shard: number, epoch: number): Promise<void> {
  await session.query({ text: 'update log_offsets set epoch = $1, seq = 0 where shard = $2' }, [epoch, shard])
}

async function rebuild(session: Queries, writer: RebuildWriter, options: RecoverOptions & { recordId: string }) {
  const { store, recordId, ttlSeconds, say } = options
  await writer.begin(recordId)
  const { nowMs } = await store.logState()
  const sales = await liveSales(session, nowMs)
  let sold = 0
  let held = 0
  for (const terms of sales) {
    const sale = new RebuiltSale({ session, writer, terms, nowMs })
    await writer.sale(terms, ttlSeconds)
    await sale.fill()
    say(`sale ${terms.sale}: ${sale.sold} items sold, ${sale.held} held`)
    sold += sale.sold
    held += sale.held
  }
  return { sales: sales.map(({ sale }) => sale), sold, held }
}
