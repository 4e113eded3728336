// Days of a record that are long over, without waiting for them: rows as a persister would have left them.

import { type Outcome, outcomes } from '../../core/outcomes.ts'
import type { Postgres } from '../../core/postgres/connection.ts'
import { transferKinds } from '../../core/postgres/record-columns.ts'
import { shardNumbers, shardOf } from '../../core/shards.ts'
import { isoTime, msPerDay } from '../../core/time.ts'

const minuteMs = 60_000

/** The day so many days ago (UTC), as 2026-11-26. */
export function dayAgo(days: number, nowMs = Date.now()): string {
  return isoTime(Math.floor(nowMs / msPerDay) * msPerDay - days * msPerDay).slice(0, 10)
}

export interface PastDays {
  /** The days of which there are rows, the oldest first. */
  readonly days: readonly string[]
  /** The one after the last of these. */
  readonly end: string
  readonly sales: readonly number[]
  /** Of each shard the last log entry of the epoch 1, which all of it is of. */
  readonly lastBatches: readonly number[]
  /** Outcome code -> attempts that named no listed sale. */
  readonly unlisted: ReadonlyMap<number, number>
}

interface PastOptions {
  readonly shards?: number
  /** How many days, of which the last one is so many days ago. */
  readonly days?: number
  readonly lastAgo?: number
  /** Rejections besides on each day, which nobody needs but to make it large. */
  readonly bulkRows?: number
}

interface Command {
  readonly outcome: Outcome
  readonly sale: number
  readonly item: number
  readonly user?: string
}

/**
 * Each day has a sale of an hour, and one from half an hour before midnight to half an hour behind it, with holds that are
 * purchased on the other side, and rights that are lent on this one and used on the other where there are several shards.
 * The offsets are at the end of it, and partitions are there up to the day behind the last.
 */
export function makePastDays(postgres: Postgres, options: PastOptions = {}): PastDays {
  const { shards = 1, days: count = 3, lastAgo = 4, bulkRows = 0 } = options
  const log = new PastLog(postgres, shards)
  const nowMs = Date.now() // of all of them: a day may end meanwhile
  const days = Array.from({ length: count }, (_, at) => dayAgo(lastAgo + count - 1 - at, nowMs))
  const sales: number[] = []
  for (const [at, day] of days.entries()) {
    const startMs = Date.parse(`${day}T00:00:00Z`)
    const [byDay, byNight] = [10 * at + 1, 10 * at + 2]
    sales.push(byDay, byNight)
    log.openSale(byDay, startMs + 600 * minuteMs)
    log.sell(byDay, startMs + 601 * minuteMs, startMs + 603 * minuteMs)
    log.bulk(byDay, startMs + 605 * minuteMs, bulkRows)
    log.openSale(byNight, startMs + 1_410 * minuteMs)
    log.sell(byNight, startMs + 1_435 * minuteMs, startMs + 1_442 * minuteMs)
  }
  log.finish()
  const { lastBatches, unlisted } = log
  return { days, end: dayAgo(lastAgo - 1, nowMs), sales, lastBatches, unlisted }
}

class PastLog {
  readonly lastBatches: number[]
  readonly unlisted = new Map<number, number>()
  readonly #postgres: Postgres
  readonly #shards: number

  constructor(postgres: Postgres, shards: number) {
    this.#postgres = postgres
    this.#shards = shards
    this.lastBatches = shardNumbers(shards).map(() => 0)
  }

  /** An entry without rows, in each shard. */
  openSale(sale: number, opensAtMs: number): void {
    for (const shard of shardNumbers(this.#shards)) this.#next(shard)
    this.#postgres.query('insert into sales values ($1, $2, $3, 30, 10, 600, $4)', [
      sale,
      isoTime(opensAtMs),
      isoTime(opensAtMs + 60 * minuteMs),
      this.#shards,
    ])
  }

  /** Most outcomes that there are. */
  sell(sale: number, heldMs: number, boughtMs: number): void {
    const of = (outcome: Outcome, item: number, user?: string): Command => ({
      outcome,
      sale,
      item,
      ...(user !== undefined && { user }),
    })
    const held = Array.from({ length: 9 }, (_, at) => of('held', at + 1, `user-${at % 4}`))
    this.#decide(heldMs, held)
    this.#decide(heldMs + 1_000, [
      of('held_again', 1, 'user-0'),
      of('item_held', 2, 'user-7'),
      of('item_unknown', 31, 'x'),
    ])
    this.#decide(heldMs + 2_000, [{ outcome: 'sale_unlisted', sale: sale + 1_000_000, item: 5, user: 'eve' }])
    this.#moveRight(sale, 'user-9', { lentMs: heldMs + 3_000, gotMs: boughtMs })
    this.#decide(
      boughtMs,
      [1, 2, 3, 5, 6].map((item) => of('purchased', item, `user-${(item - 1) % 4}`)),
    )
    this.#decide(boughtMs + 1_000, [
      of('purchased_again', 1, 'user-0'),
      of('released', 4, 'user-3'),
      of('code_unknown', 4),
      of('item_sold', 3, 'user-8'),
    ])
  }

  /** A lot of rejections. */
  bulk(sale: number, atMs: number, rows: number): void {
    if (rows === 0) return
    const batches = Math.ceil(rows / 100)
    const first = (this.lastBatches[0] ?? 0) + 1
    this.#partitions(atMs)
    this.#postgres.query(
      `insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id)
       select $1::timestamptz + i / 100 * interval '1 ms', 1, $2::bigint + i / 100, i % 100, $3::bigint, 1, 6, 'buyer-' || i
       from generate_series(0, $4::int - 1) i`,
      [isoTime(atMs), first, sale, rows],
    )
    this.lastBatches[0] = first + batches - 1
  }

  finish(): void {
    for (const [shard, batch] of this.lastBatches.entries())
      this.#postgres.query('update log_offsets set epoch = 1, seq = $2 where shard = $1', [shard, batch])
  }

  #next(shard: number): number {
    const batch = (this.lastBatches[shard] ?? 0) + 1
    this.lastBatches[shard] = batch
    return batch
  }

  #partitions(atMs: number): void {
    this.#postgres.query('select ensure_attempts_partitions($1::date)', [isoTime(atMs).slice(0, 10)])
  }

  /** One batch in each shard that has a command of these. */
  #decide(atMs: number, commands: readonly Command[]): void {
    this.#partitions(atMs)
    for (const shard of shardNumbers(this.#shards)) {
      const own = commands.filter((command) => this.#shardOf(command) === shard)
      if (own.length === 0) continue
      const batch = this.#next(shard)
      for (const [n, command] of own.entries()) this.#insert(command, { atMs, batch, n })
    }
  }

  #shardOf({ outcome, item }: Command): number {
    return outcome === 'sale_unlisted' ? 0 : shardOf(item, this.#shards)
  }

  #insert(
    { outcome, sale, item, user }: Command,
    { atMs, batch, n }: { atMs: number; batch: number; n: number },
  ): void {
    const { code, operation } = outcomes[outcome]
    if (outcome === 'sale_unlisted') this.unlisted.set(code, (this.unlisted.get(code) ?? 0) + 1)
    const nonce = `N-${sale}-${item}`.padEnd(16, '-')
    const at = isoTime(atMs)
    if (operation === 'checkout') {
      const isHold = outcome === 'held' || outcome === 'held_again'
      this.#postgres.query(
        `insert into checkout_attempts (decided_at, epoch, batch, n, sale_id, item_index, outcome, user_id, nonce, expires_at)
         values ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          at,
          batch,
          n,
          sale,
          item,
          code,
          user ?? '',
          isHold ? nonce : null,
          isHold ? isoTime(atMs + 10 * minuteMs) : null,
        ],
      )
      return
    }
    this.#postgres.query(
      `insert into ${operation}_attempts (decided_at, epoch, batch, n, sale_id, item_index, nonce, outcome, user_id)
       values ($1, 1, $2, $3, $4, $5, $6, $7, $8)`,
      [at, batch, n, sale, item, nonce, code, user ?? null],
    )
    if (outcome !== 'purchased') return
    this.#postgres.query(
      `insert into purchases (purchased_at, epoch, batch, n, sale_id, item_index, nonce, user_id)
       values ($1, 1, $2, $3, $4, $5, $6, $7)`,
      [at, batch, n, sale, item, nonce, user ?? ''],
    )
  }

  /** From the second shard to the first: two entries with nothing else in them. */
  #moveRight(sale: number, user: string, { lentMs, gotMs }: { lentMs: number; gotMs: number }): void {
    if (this.#shards === 1) return
    const insert = (shard: number, peer: number, kind: number, atMs: number): void => {
      this.#partitions(atMs)
      this.#postgres.query(
        `insert into right_transfers (decided_at, shard, epoch, batch, n, sale_id, user_id, peer, kind, total)
         values ($1, $2, 1, $3, 0, $4, $5, $6, $7, 1)`,
        [isoTime(atMs), shard, this.#next(shard), sale, user, peer, kind],
      )
    }
    insert(1, 0, transferKinds.lent, lentMs)
    insert(0, 1, transferKinds.got, gotMs)
  }
}
