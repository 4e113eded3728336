import { compareLogPositions, formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import type { BegunEpoch } from '../../../core/postgres/log-epochs.ts'
import { entriesBetween } from '../../../core/recovery/log-chain.ts'
import { firstShard } from '../../../core/shards.ts'
import type { Breaches, BreachRow } from './breaches.ts'
import type { LogExtent } from './log-extent.ts'
import type { PlacesFound } from './postgres-side.ts'

/** What Postgres has of a shard's log; a persister may be at work meanwhile. */
export interface OffsetsAround {
  /** Read before the log's extent in Redis, and after it. */
  readonly before: LogPosition
  readonly after: LogPosition
  /** All of the log's epochs that are known, read after the extent. */
  readonly epochs: readonly BegunEpoch[]
}

/** The log of a shard in Redis against its offset in Postgres. `of` names the shard in what is found. */
export function checkLogExtent(
  extent: LogExtent,
  { before, after, epochs }: OffsetsAround,
  { breaches, of }: { breaches: Breaches; of: BreachRow },
): void {
  const { first, last, entries } = extent
  const isApart = entriesBetween(before, last, epochs) === 'apart'
  if (isApart || compareLogPositions(before, last) > 0) {
    breaches.add('offset_ahead', { ...of, offset: formatLogPosition(before), log_ends_at: formatLogPosition(last) })
  }
  // Entries are trimmed once they are in Postgres, so what is trimmed is at or before an offset that was read later.
  const missing = missingBefore(extent, after, epochs)
  if (missing !== undefined) {
    const [from, to] = [formatLogPosition(missing.from), formatLogPosition(missing.to)]
    breaches.add('log_gap', { ...of, problem: 'neither in Redis nor in Postgres', from, to })
  }
  // Seqs have no gaps inside an epoch, so between the first and the last there must be as many entries as that.
  const inside = first === undefined ? 'unknown' : entriesBetween(first, last, epochs)
  if (first !== undefined && typeof inside === 'number' && entries !== inside + 1) {
    breaches.add('log_gap', {
      ...of,
      problem: 'entries are missing inside the log in Redis',
      from: formatLogPosition(first),
      to: formatLogPosition(last),
      missing: inside + 1 - entries,
    })
  }
}

function missingBefore(
  { first, last }: LogExtent,
  after: LogPosition,
  epochs: readonly BegunEpoch[],
): { from: LogPosition; to: LogPosition } | undefined {
  const between = entriesBetween(after, first ?? last, epochs)
  if (between === 'apart') return undefined // which is found already
  if (between === 'unknown') {
    // The epoch is one that a version before began: of the one before nobody knows the end.
    const firstSeq = first === undefined ? last.seq + 1 : first.epoch === last.epoch ? first.seq : 1
    const { epoch } = last
    return firstSeq > 1 ? { from: { epoch, seq: 1 }, to: { epoch, seq: firstSeq - 1 } } : undefined
  }
  if (between <= (first === undefined ? 0 : 1)) return undefined
  const from = { epoch: after.epoch, seq: after.seq + 1 }
  return { from, to: first === undefined ? endedAt(last, epochs) : endedAt({ ...first, seq: first.seq - 1 }, epochs) }
}

/** The place itself or, at the beginning of an epoch, the end of the one before. */
function endedAt(place: LogPosition, epochs: readonly BegunEpoch[]): LogPosition {
  return (place.seq > 0 ? undefined : epochs.find(({ epoch }) => epoch === place.epoch)?.after) ?? place
}

/** The earliest epoch from which on none follows on nothing, as far as is known: Redis was not rebuilt since. */
export function unbrokenSince(epoch: number, epochs: readonly BegunEpoch[]): number {
  let since = epoch
  for (;;) {
    const after = epochs.find((begun) => begun.epoch === since)?.after
    if (after === undefined) return since
    since = after.epoch
  }
}

/**
 * The places of all rows.
 * @param salesOpened of each shard: entries that have no rows
 */
export function checkPlaces(places: PlacesFound, salesOpened: ReadonlyMap<number, number>, breaches: Breaches): void {
  breaches.addAll('place_doubled', places.doubled)
  breaches.addAll('place_missing', places.missing)
  for (const { shard, since, absent } of places.logs) {
    const opened = salesOpened.get(shard) ?? 0
    // Before that epoch it is not known how many entries one had: an opened sale may have been its last. So only where all
    // are known the numbers must be equal. A shard that was away while a sale was open need not have opened it.
    const isExact = since <= 1 && shard === firstShard
    if (absent <= opened && !(isExact && absent < opened)) continue
    const of = places.logs.length > 1 ? { shard } : {}
    const gaps = places.absent.rows.filter((row) => row['shard'] === undefined || row['shard'] === shard)
    breaches.addAll('log_entry_missing', {
      count: Math.abs(absent - opened),
      rows: [
        { ...of, entries_without_attempts: absent, opened_sales_on_record: opened },
        ...gaps.map(({ epoch, from, to }) => ({
          ...of,
          entries_without_attempts_from: `${epoch}-${from}`,
          to: `${epoch}-${to}`,
        })),
      ],
    })
  }
}
