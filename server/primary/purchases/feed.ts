import {
  purchasesPageBytesMax,
  purchasesSearchMsMax,
  purchasesWindowBatchesMax,
  purchasesWindowBatchesMin,
  purchasesWindowGrowth,
} from '../../../core/limits.ts'
import type { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import type { RecordedPurchase } from '../../../core/purchases/recorded-purchase.ts'
import { firstShard } from '../../../core/shards.ts'
import {
  type Cursor,
  comparePlaces,
  formatCursor,
  historyMark,
  type LogPlace,
  logBeginning,
  recordPrefix,
  type ShardCursor,
  wholeEntry,
} from './cursor.ts'
import { cutPage } from './page.ts'
import { type ReachedShard, type ReadingSession, readReached, readWindows } from './statements.ts'

export interface PurchasesPage {
  readonly kind: 'page'
  readonly purchases: readonly RecordedPurchase[]
  /** The cursor behind them. */
  readonly next: string
  /** Whether Postgres had more at that moment, or may have. A page may be empty and say so. */
  readonly hasMore: boolean
}

/** Why there is no page for a cursor. */
export interface RefusedCursor {
  readonly kind: 'cursor_foreign' | 'record_rewound'
  readonly detail: string
}

/** A shard while a page is read. */
interface Reading {
  readonly reached: ReachedShard
  readonly from: LogPlace
  place: LogPlace
  /** Log entries that the next look goes through at most. */
  window: number
}

/**
 * The purchases in the order of the record, for readers that come back with the cursor of their last page. There is no serial
 * number: a place in a log is one already. The offset of a log moves in the transaction that writes its rows, so up to there
 * every row is to be seen, whoever copies, and none comes later. So it is read first, and nothing behind it.
 */
export class PurchaseFeed {
  readonly #postgres: Pick<AsyncPostgres, 'transaction'>
  /** The shard that has the first turn: a page of fewer rows than there are shards must not always be the first shard's. */
  #turn = 0

  constructor(postgres: Pick<AsyncPostgres, 'transaction'>) {
    this.#postgres = postgres
  }

  /** What follows on `after`; without it, from the beginning. @throws Fault HC_POSTGRES_... | HC_SCHEMA */
  page(after: Cursor | undefined, limit: number): Promise<PurchasesPage | RefusedCursor> {
    return this.#postgres.transaction(async (session) => {
      const reached = await readReached(session, after?.shards ?? [])
      const refused = after === undefined ? undefined : refusal(after, reached)
      return refused ?? (await this.#read(session, { after, reached, limit }))
    })
  }

  async #read(
    session: ReadingSession,
    { after, reached, limit }: { after: Cursor | undefined; reached: readonly ReachedShard[]; limit: number },
  ): Promise<PurchasesPage> {
    const readings = reached.map((shard): Reading => {
      const from = after?.shards[shard.shard] ?? logBeginning
      return { reached: shard, from, place: from, window: purchasesWindowBatchesMin }
    })
    const found = readings.map((): RecordedPurchase[] => [])
    this.#turn = (this.#turn + 1) % readings.length
    const turns = [...readings.slice(this.#turn), ...readings.slice(0, this.#turn)]
    const deadlineMs = performance.now() + purchasesSearchMsMax
    // A page that is half full is one: to fill it would take a whole look, and the next page goes on there.
    for (let left = limit; left * 2 > limit; ) {
      const looking = turns.filter(isBehind).slice(0, left)
      if (looking.length === 0 || performance.now() > deadlineMs) break
      const quota = Math.floor(left / looking.length)
      const rows = await readWindows(session, looking.map(windowOf), { quota, shards: reached.length })
      for (const reading of looking) {
        const { shard } = reading.reached
        const own = rows.filter((row) => row.shard === shard)
        found[shard]?.push(...own)
        advance(reading, own.length < quota ? undefined : own.at(-1))
      }
      left -= rows.length
    }
    const { purchases, cut } = cutPage(found, purchasesPageBytesMax)
    const shards = readings.map((reading): ShardCursor => {
      const { reached: of, from, place } = reading
      const last = purchases.findLast(({ shard }) => shard === of.shard)
      const isCut = cut.has(of.shard)
      return shardCursor(of, { place: isCut ? (last ?? from) : place, last, before: after?.shards[of.shard] })
    })
    const record = recordPrefix(reached[0]?.record ?? '')
    const hasMore = cut.size > 0 || readings.some(isBehind)
    return { kind: 'page', purchases, next: formatCursor({ record, shards }), hasMore }
  }
}

function isBehind({ place, reached }: Reading): boolean {
  return comparePlaces(place, reached.end) < 0
}

/** The part of the log that is looked at next: of one epoch, and nothing behind what is in Postgres. */
function windowOf({ place, reached, window }: Reading) {
  const isLastEpoch = place.epoch === reached.end.epoch
  const epochEnd = isLastEpoch ? reached.end.batch : Number.MAX_SAFE_INTEGER
  const isWhole = window > purchasesWindowBatchesMax
  const until = isWhole ? epochEnd : Math.min(place.batch + window, epochEnd)
  return { shard: reached.shard, ...place, until }
}

/** @param last of a look that was full: there may be more in its part of the log */
function advance(reading: Reading, last: RecordedPurchase | undefined): void {
  if (last !== undefined) {
    reading.place = { epoch: last.epoch, batch: last.batch, n: last.n }
    reading.window = Math.max(purchasesWindowBatchesMin, reading.window / purchasesWindowGrowth)
    return
  }
  const { epoch, until } = windowOf(reading)
  if (until === Number.MAX_SAFE_INTEGER) {
    // Where an epoch ended is not always known: it was read without an end.
    reading.place = { epoch: epochAfter(epoch, reading.reached), batch: 0, n: wholeEntry }
    reading.window = purchasesWindowBatchesMin
    return
  }
  reading.place = { epoch, batch: until, n: wholeEntry }
  reading.window *= purchasesWindowGrowth
}

/**
 * The next one in which there may be rows. Versions that know one shard alone listed no epochs: there each number is tried. All
 * others would be looked for in vain, and among the rows of other shards, whose epochs have the same numbers.
 */
function epochAfter(epoch: number, { shard, runs, end }: ReachedShard): number {
  if (shard === firstShard && !runs.has(epoch)) return epoch + 1
  const listed = [...runs.keys()].filter((each) => each > epoch)
  return Math.min(...listed, end.epoch)
}

function shardCursor(
  reached: ReachedShard,
  { place, last, before }: { place: LogPlace; last: RecordedPurchase | undefined; before: ShardCursor | undefined },
): ShardCursor {
  const { epoch, batch, n } = place
  const run = reached.runs.get(epoch) ?? ''
  const given = last === undefined ? before?.last : { sale: last.sale, index: last.index }
  return { epoch, batch, n, last: given, mark: historyMark(run, last ?? reached.last) }
}

/** Whether Postgres still has what the cursor has passed. */
function refusal(after: Cursor, reached: readonly ReachedShard[]): RefusedCursor | undefined {
  const record = recordPrefix(reached[0]?.record ?? '')
  if (after.record !== record) {
    return { kind: 'cursor_foreign', detail: 'The cursor was given for the record of another database.' }
  }
  for (const [shard, cursor] of after.shards.entries()) {
    const why = rewound(cursor, reached[shard])
    if (why !== undefined) {
      const of = reached.length > 1 ? ` Shard ${shard}:` : ''
      return {
        kind: 'record_rewound',
        detail: `Postgres is an older copy than the one that gave the cursor.${of} ${why}`,
      }
    }
  }
  return undefined
}

function rewound(cursor: ShardCursor, reached: ReachedShard | undefined): string | undefined {
  if (reached === undefined) return 'There is no such shard.'
  if (comparePlaces(cursor, reached.end) > 0) {
    return `The cursor is at ${cursor.epoch}-${cursor.batch}, the record ends at ${reached.end.epoch}-${reached.end.batch}.`
  }
  if (cursor.last !== undefined && reached.last === undefined) {
    return `The item ${cursor.last.sale}-${cursor.last.index}, which the reader was given, is not sold.`
  }
  const run = reached.runs.get(cursor.epoch) ?? ''
  if (historyMark(run, reached.last) === cursor.mark) return undefined
  return `What is on record up to ${cursor.epoch}-${cursor.batch} is not what the reader was given.`
}
