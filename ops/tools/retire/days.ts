import { Fault } from '../../../core/faults.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { type DailyTable, dailyTables } from '../../../core/postgres/daily-tables.ts'
import { isoTime, msPerDay } from '../../../core/time.ts'

/** A table's rows of a day. */
export interface DayPartition {
  readonly table: DailyTable
  /** As it stands in a statement. */
  readonly name: string
  /** Its columns in their order, as they stand in a statement. */
  readonly columns: readonly string[]
  readonly rows: number
  /** On Postgres' disk, with its indexes. */
  readonly bytes: number
}

export interface RecordedDay {
  /** Like 2026-11-26. */
  readonly day: string
  /** 1; or one more for each time that the day was retired before and rows of it came later. */
  readonly part: number
  readonly partitions: readonly DayPartition[]
}

interface PartitionRow {
  readonly table: DailyTable
  readonly name: string
  readonly digits: string
  readonly bound: string
  readonly isPending: boolean
  readonly bytes: number
  /** JSON of names. */
  readonly columns: string
}

const partitionsText = `
  select parent as "table", c.oid::regclass::text as name, right(c.relname, 8) as digits,
         pg_get_expr(c.relpartbound, c.oid) as bound, inhdetachpending as "isPending",
         pg_total_relation_size(c.oid)::float8 as bytes,
         (select json_agg(quote_ident(attname) order by attnum) from pg_attribute
          where attrelid = c.oid and attnum > 0 and not attisdropped)::text as columns
  from unnest($1::text[]) parent
  join pg_inherits on inhparent = to_regclass(parent)
  join pg_class c on c.oid = inhrelid
  where c.relname ~ ('^' || parent || '_[0-9]{8}$') and right(c.relname, 8) < $2
  order by digits, array_position($1::text[], parent)`

/**
 * The days that end before that moment and have partitions, the oldest first. The session's time zone has to be UTC.
 * @throws PostgresFault; Fault HC_SCHEMA when a partition holds something else than the day of its name
 */
export function daysBefore(postgres: Postgres, beforeMs: number): RecordedDay[] {
  const before = isoTime(beforeMs).slice(0, 10).replaceAll('-', '')
  const rows = postgres.query<PartitionRow>(partitionsText, [`{${dailyTables.join()}}`, before])
  const days = new Map<string, DayPartition[]>()
  for (const row of rows) {
    const day = row.digits.replace(/^(....)(..)(..)$/, '$1-$2-$3')
    assertOfDay(row, day)
    const partitions = days.get(day) ?? []
    days.set(day, partitions)
    const { table, name, bytes } = row
    partitions.push({ table, name, bytes, rows: rowsOf(postgres, name), columns: JSON.parse(row.columns) as string[] })
  }
  const parts = partsOf(postgres)
  return [...days].map(([day, partitions]) => ({ day, part: (parts.get(day) ?? 0) + 1, partitions }))
}

function assertOfDay({ name, bound, isPending }: PartitionRow, day: string): void {
  if (isPending) throw new Fault('HC_SCHEMA', `somebody has begun to detach ${name}: FINALIZE it, or wait`)
  const next = isoTime(Date.parse(`${day}T00:00:00Z`) + msPerDay).slice(0, 10)
  const expected = `FOR VALUES FROM ('${day} 00:00:00+00') TO ('${next} 00:00:00+00')`
  if (bound !== expected) throw new Fault('HC_SCHEMA', `the partition ${name} is not of the day of its name: ${bound}`)
}

/** Counted: what the statistics say may be old. */
function rowsOf(postgres: Postgres, name: string): number {
  const [row] = postgres.query<{ rows: number }>(`select count(*)::float8 as rows from only ${name}`)
  return row?.rows ?? 0
}

/** Day -> how often it was retired. */
function partsOf(postgres: Postgres): Map<string, number> {
  const rows = postgres.query<{ day: string; part: number }>(
    'select day::text as day, max(part) as part from retired_days group by day',
  )
  return new Map(rows.map(({ day, part }) => [day, part]))
}
