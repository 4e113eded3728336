import { compareLogPositions, formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import type { Breaches } from './breaches.ts'
import type { LogExtent } from './log-extent.ts'
import type { PlacesFound } from './postgres-side.ts'

/**
 * The log in Redis against the offset in Postgres.
 * @param offset `before`: read before the log's extent, `after`: read after it; a persister may be at work meanwhile
 */
export function checkLogExtent(
  { first, last, entries }: LogExtent,
  offset: { readonly before: LogPosition; readonly after: LogPosition },
  breaches: Breaches,
): void {
  if (compareLogPositions(offset.before, last) > 0) {
    const places = { offset: formatLogPosition(offset.before), log_ends_at: formatLogPosition(last) }
    breaches.add('offset_ahead', places)
  }
  // Entries are trimmed once they are in Postgres, so what is trimmed is at or before an offset that was read later.
  const committed = offset.after.epoch === last.epoch ? offset.after.seq : 0
  const firstSeq = first === undefined ? last.seq + 1 : first.epoch === last.epoch ? first.seq : 1
  if (firstSeq > committed + 1) {
    const { epoch } = last
    breaches.add('log_gap', {
      problem: 'neither in Redis nor in Postgres',
      from: formatLogPosition({ epoch, seq: committed + 1 }),
      to: formatLogPosition({ epoch, seq: firstSeq - 1 }),
    })
  }
  // Seqs have no gaps inside an epoch, so between the first and the last there must be as many entries as that.
  if (first?.epoch === last.epoch && entries !== last.seq - first.seq + 1) {
    breaches.add('log_gap', {
      problem: 'entries are missing inside the log in Redis',
      from: formatLogPosition(first),
      to: formatLogPosition(last),
      missing: last.seq - first.seq + 1 - entries,
    })
  }
}

/**
 * The places of all rows.
 * @param log `salesOpened` are entries that have no attempts; `lastEpoch` is the one that Postgres has got to
 */
export function checkPlaces(
  places: PlacesFound,
  { salesOpened, lastEpoch }: { salesOpened: number; lastEpoch: number },
  breaches: Breaches,
): void {
  breaches.addAll('place_doubled', places.doubled)
  breaches.addAll('place_missing', places.missing)
  const { absent } = places
  // Of an earlier epoch it is not known how many entries it had: an opened sale may have been its last. So only in the
  // first epoch the numbers must be equal.
  if (absent.count > salesOpened || (lastEpoch <= 1 && absent.count < salesOpened)) {
    breaches.addAll('log_entry_missing', {
      count: Math.abs(absent.count - salesOpened),
      rows: [
        { entries_without_attempts: absent.count, opened_sales_on_record: salesOpened },
        ...absent.rows.map(({ epoch, from, to }) => ({
          entries_without_attempts_from: `${epoch}-${from}`,
          to: `${epoch}-${to}`,
        })),
      ],
    })
  }
}
