import assert from 'node:assert/strict'
import { Fault, type FaultCode } from '../core/faults.ts'
import { copyLockMsMax } from '../core/limits.ts'
import { compareLogPositions } from '../core/log-position.ts'
import { committedHead } from '../core/postgres/committed-position.ts'
import { connectPostgres, type Postgres } from '../core/postgres/connection.ts'
import type { PostgresSettings } from '../core/postgres/conninfo.ts'
import type { LogHead } from '../core/postgres/log-epochs.ts'
import {
  checkoutColumns,
  codeAttemptColumns,
  purchaseColumns,
  saleColumns,
  transferColumns,
} from '../core/postgres/record-columns.ts'
import { isoTime, msPerSecond } from '../core/time.ts'
import type { CopiedChunk } from './copied-chunk.ts'
import type { CopyText } from './copy-text.ts'
import { DayPartitions } from './day-partitions.ts'
import type { StepHook } from './drain-steps.ts'
import { isLockTimeout, lockFault, lockTables } from './locks.ts'
import type { LogChunk } from './log-chunk.ts'
import { moveOffset } from './move-offset.ts'
import { RowEncoder } from './row-encoder.ts'

/** After these the connection is as good as before: the transaction was rolled back. */
const cleanFailures: ReadonlySet<FaultCode> = new Set([
  'HC_OFFSET_MOVED',
  'HC_RUN_REPLACED',
  'HC_LOG_GAP',
  'HC_LOG_TERMS',
  'HC_POSTGRES_LOCKED',
])

/**
 * Writes chunks of the log to Postgres, each exactly once: the offset moves by compare-and-set in the transaction that
 * writes the rows. Blocks its thread. After any failure but a clean one it closes the connection, and the next call opens
 * another: then nobody has to think about what a half-failed connection would still do.
 */
export class Copier {
  readonly #settings: PostgresSettings
  readonly #reached: StepHook
  readonly #rows = new RowEncoder()
  /** Between two calls never in a transaction. undefined: the next call opens one. */
  #postgres: Postgres | undefined
  /** The last transaction waited too long for a lock. */
  #wasLocked = false
  readonly #partitions = new DayPartitions()

  constructor(settings: PostgresSettings, reached: StepHook) {
    this.#settings = settings
    this.#reached = reached
  }

  /** Up to where the log of a shard is in Postgres. @throws Fault HC_POSTGRES_UNAVAILABLE | HC_POSTGRES_REFUSED | HC_SCHEMA */
  head(shard: number): LogHead {
    return this.#orDisconnect((postgres) => committedHead(postgres, shard))
  }

  /**
   * Up to an entry that can't be read, if there is one behind the first.
   * @throws Fault HC_OFFSET_MOVED when the offset is not at `chunk.after`, HC_RUN_REPLACED when another run than the chunk's
   *   is admitted, HC_LOG_GAP when its epoch does not follow there, HC_LOG_TERMS, HC_LOG_MALFORMED, HC_POSTGRES_LOCKED
   *   and HC_POSTGRES_REFUSED: nothing was written; HC_POSTGRES_UNAVAILABLE: everything or nothing was
   */
  copy(chunk: LogChunk): CopiedChunk {
    const rows = this.#rows
    const partitions = this.#partitions
    const { through, entries } = rows.encode(chunk)
    assert.ok(compareLogPositions(chunk.after, through) < 0 && compareLogPositions(through, chunk.through) <= 0)
    assert.ok(rows.purchases.rowCount <= rows.purchaseAttempts.rowCount, 'a purchase is an attempt as well')
    return this.#orDisconnect((postgres) => {
      partitions.prepare(postgres, rows.days)
      const started = performance.now()
      postgres.transaction(() => {
        if (this.#wasLocked) partitions.lock((names) => lockTables(postgres, names))
        moveOffset(postgres, chunk, through)
        this.#reached('after_offset')
        this.#insertSales(postgres)
        partitions.into('checkout_attempts', (table) =>
          copyTable(postgres, `${table} (${checkoutColumns})`, rows.checkouts),
        )
        partitions.into('purchase_attempts', (table) =>
          copyTable(postgres, `${table} (${codeAttemptColumns})`, rows.purchaseAttempts),
        )
        partitions.into('release_attempts', (table) =>
          copyTable(postgres, `${table} (${codeAttemptColumns})`, rows.releaseAttempts),
        )
        copyTable(postgres, `purchases (${purchaseColumns})`, rows.purchases)
        partitions.into('right_transfers', (table) =>
          copyTable(postgres, `${table} (${transferColumns})`, rows.transfers),
        )
        partitions.assertAttached(postgres)
        this.#reached('after_copy')
      })
      this.#reached('after_commit')
      this.#wasLocked = false
      return {
        through,
        entries,
        rows: {
          sales: rows.openedSales.length,
          checkout_attempts: rows.checkouts.rowCount,
          purchase_attempts: rows.purchaseAttempts.rowCount,
          release_attempts: rows.releaseAttempts.rowCount,
          purchases: rows.purchases.rowCount,
          right_transfers: rows.transfers.rowCount,
        },
        seconds: (performance.now() - started) / msPerSecond,
      }
    })
  }

  close(): void {
    this.#postgres?.close()
    this.#postgres = undefined
    this.#partitions.forget()
  }

  #orDisconnect<Result>(work: (postgres: Postgres) => Result): Result {
    try {
      this.#postgres ??= this.#connect()
      return work(this.#postgres)
    } catch (error) {
      const fault = this.#postgres !== undefined && isLockTimeout(error) ? lockFault(this.#postgres) : error
      const clean = fault instanceof Fault && cleanFailures.has(fault.code)
      if (clean) this.#wasLocked ||= fault.code === 'HC_POSTGRES_LOCKED'
      if (!clean || this.#postgres?.isConnected === false) this.close()
      throw fault
    }
  }

  #connect(): Postgres {
    const postgres = connectPostgres(this.#settings, { applicationName: 'hotcakes persister' })
    // A lock may be held for ever, and a session that waits for it can't say who holds it.
    postgres.query(`select set_config('lock_timeout', $1, false)`, [`${copyLockMsMax}ms`])
    // The log is trimmed after COMMIT. With 'off', which may be a database's default, COMMIT is answered before the rows
    // are on disk: a crash of Postgres would lose rows that are nowhere else any more.
    postgres.query(
      `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
    )
    return postgres
  }

  /**
   * Each of its shards lists a sale, with the terms of the first. One shard opens it twice only when Redis had lost it and
   * began a new epoch: the later terms are in force, but that its items stay where they are.
   * @throws Fault HC_LOG_TERMS
   */
  #insertSales(postgres: Postgres): void {
    for (const { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards } of this.#rows.openedSales) {
      const inForce = postgres.query(
        `insert into sales (${saleColumns})
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (sale_id) do update set (opens_at, closes_at, items, user_limit, hold_seconds) =
           (excluded.opens_at, excluded.closes_at, excluded.items, excluded.user_limit, excluded.hold_seconds)
         where sales.shards = excluded.shards
         returning sale_id`,
        [sale, isoTime(opensAtMs), isoTime(closesAtMs), items, userLimit, holdMs / msPerSecond, shards],
      )
      if (inForce.length === 1) continue
      const [row] = postgres.query<{ shards: number }>('select shards from sales where sale_id = $1', [sale])
      throw new Fault(
        'HC_LOG_TERMS',
        `sale ${sale} is opened over ${shards} shards, and is on record over ${row?.shards}`,
      )
    }
  }
}

function copyTable(postgres: Postgres, target: string, rows: CopyText): void {
  if (rows.rowCount === 0) return
  assert.equal(postgres.copyIn(`copy ${target} from stdin`, [rows.text]), rows.rowCount)
}
