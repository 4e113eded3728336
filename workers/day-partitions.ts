import type { Postgres } from '../core/postgres/connection.ts'
import { type DailyTable, dailyTables } from '../core/postgres/daily-tables.ts'
import { PostgresFault } from '../core/postgres/postgres-fault.ts'
import { isoTime, msPerDay } from '../core/time.ts'

interface Partition {
  readonly parent: DailyTable
  readonly oid: string
  /** As it stands in a statement. */
  readonly name: string
}

/** Of one day, those that may be written to directly. */
type Partitions = ReadonlyMap<DailyTable, Partition>

const noPartitions: Partitions = new Map()
const undefinedTable = '42P01'

/**
 * Where a connection copies the rows of a chunk to. Rows of one day go into its partitions directly, which spares Postgres
 * to look for the partition of each. Into the parent go those of a chunk with midnight in it, and those of a partition that
 * was made by hand: it needs no right of its own there.
 */
export class DayPartitions {
  /** Days whose partitions exist, by what this connection has seen. */
  readonly #ready = new Map<number, Partitions>()
  #chosen: Partitions = noPartitions

  /** Before a transaction, in one of its own: a second persister sees the partition without waiting for a copy to end. */
  prepare(postgres: Postgres, days: ReadonlySet<number>): void {
    for (const day of days) {
      if (this.#ready.has(day)) continue
      const date = isoTime(day * msPerDay).slice(0, 10)
      postgres.query('select ensure_attempts_partitions($1::date)', [date])
      const rows = postgres.query<Partition>(partitionsQuery, [`{${dailyTables.join()}}`, date.replaceAll('-', '')])
      this.#ready.set(day, new Map(rows.map((row) => [row.parent, row])))
    }
    const [day] = days
    this.#chosen = (days.size === 1 && day !== undefined && this.#ready.get(day)) || noPartitions
  }

  forget(): void {
    this.#ready.clear()
    this.#chosen = noPartitions
  }

  /**
   * Calls `copy` with what the rows of a table are copied into.
   * @throws PostgresFault HC_POSTGRES_UNAVAILABLE when a partition is gone: the next connection makes it anew
   */
  into(table: DailyTable, copy: (target: string) => void): void {
    const partition = this.#chosen.get(table)
    if (partition === undefined) copy(table)
    else orGone(() => copy(partition.name))
  }

  /** Calls `lock` with the names of all partitions that the chunk's rows are copied into. @throws as `into` */
  lock(lock: (names: readonly string[]) => void): void {
    const names = [...this.#chosen.values()].map(({ name }) => name)
    if (names.length === 0) lock(names)
    else orGone(() => lock(names))
  }

  /**
   * After the copies, which keep their partitions where they are until the transaction ends: a partition that was taken out
   * of its table before, to be archived, takes rows that nobody would find again.
   * @throws PostgresFault HC_POSTGRES_UNAVAILABLE: the next connection looks anew
   */
  assertAttached(postgres: Postgres): void {
    if (this.#chosen.size === 0) return
    const partitions = [...this.#chosen.values()]
    const [found] = postgres.query<{ attached: number }>(attachedQuery, [
      `{${partitions.map(({ parent }) => parent).join()}}`,
      `{${partitions.map(({ oid }) => oid).join()}}`,
    ])
    if (found?.attached !== partitions.length) throw new PostgresFault('a partition of the day is no part of its table')
  }
}

function orGone(use: () => void): void {
  try {
    use()
  } catch (error) {
    if (!(error instanceof PostgresFault) || error.sqlState !== undefinedTable) throw error
    throw new PostgresFault(`a partition of the day is gone: ${error.message}`)
  }
}

const partitionsQuery = `
  select parent, c.oid::text as oid, c.oid::regclass::text as name
  from unnest($1::text[]) parent
  join pg_inherits on inhparent = to_regclass(parent) and not inhdetachpending
  join pg_class c on c.oid = inhrelid
  where c.relname = parent || '_' || $2 and has_table_privilege(c.oid, 'insert')`

const attachedQuery = `
  select count(*)::int as attached
  from unnest($1::text[], $2::oid[]) chosen(parent, oid)
  join pg_inherits on inhparent = to_regclass(parent) and inhrelid = oid and not inhdetachpending`
