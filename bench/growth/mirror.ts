import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogPosition } from '../../core/log-position.ts'
import type { Postgres } from '../../core/postgres/connection.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { checkoutColumns, codeAttemptColumns, purchaseColumns } from '../../core/postgres/record-columns.ts'
import { msPerSecond } from '../../core/time.ts'
import { type CopyFile, hasPsql, psqlCopy } from './psql.ts'

const schema = 'hotcakes_growth'
const bytesPerWrite = 1 << 20

interface MirroredTable {
  readonly name: string
  readonly columns: string
  readonly isDaily: boolean
}

const tables: readonly MirroredTable[] = [
  { name: 'checkout_attempts', columns: checkoutColumns, isDaily: true },
  { name: 'purchase_attempts', columns: codeAttemptColumns, isDaily: true },
  { name: 'purchases', columns: purchaseColumns, isDaily: false },
]

/** What the rows of the table are copied into: a day's partition, or the table itself. */
function target({ name, isDaily }: MirroredTable): string {
  return isDaily ? `${schema}.${name}_day` : `${schema}.${name}`
}

/**
 * The record's tables once more, in a schema of their own of the same database: the same columns, indexes and settings. They get
 * the same rows at the same pace, so neither side writes into larger indexes than the other.
 */
export class Mirror {
  /** What copies. */
  readonly copier: string
  readonly #postgres: Postgres
  readonly #settings: PostgresSettings
  readonly #folder = mkdtempSync(join(tmpdir(), 'hotcakes-growth-'))
  #files: readonly CopyFile[] = []
  #isMade = false

  constructor(postgres: Postgres, settings: PostgresSettings) {
    this.#postgres = postgres
    this.#settings = settings
    this.copier = hasPsql() ? "psql's \\copy" : "libpq's COPY (there is no psql)"
  }

  /** Writes what the record got between two places in the log into files. @returns the rows */
  export(after: LogPosition, through: LogPosition): number {
    this.#make()
    const places = `(epoch, batch) > (${after.epoch}, ${after.seq}) and (epoch, batch) <= (${through.epoch}, ${through.seq})`
    this.#files = tables.map((table) => {
      const path = join(this.#folder, table.name)
      const rows = `select ${table.columns} from ${table.name} where ${places} order by epoch, batch, n`
      return { path, into: `${target(table)} (${table.columns})`, rows: this.#write(path, `copy (${rows}) to stdout`) }
    })
    return this.#files.reduce((sum, { rows }) => sum + rows, 0)
  }

  #write(path: string, statement: string): number {
    const file = openSync(path, 'w')
    let [rows, bytes, parts] = [0, 0, [] as Buffer[]]
    const flush = (): void => {
      writeSync(file, Buffer.concat(parts))
      bytes = 0
      parts = []
    }
    for (const row of this.#postgres.copyOut(statement)) {
      rows += 1
      bytes += row.length
      parts.push(row)
      if (bytes > bytesPerWrite) flush()
    }
    flush()
    closeSync(file)
    return rows
  }

  /** Copies the files, in one transaction. @returns seconds from BEGIN to the answer to COMMIT */
  async copy(signal: AbortSignal): Promise<number> {
    if (hasPsql()) return await psqlCopy(this.#files, this.#settings, signal)
    const texts = this.#files.map(({ path }) => readFileSync(path))
    const startedMs = performance.now()
    this.#postgres.transaction(() => {
      for (const [at, { into }] of this.#files.entries())
        this.#postgres.copyIn(`copy ${into} from stdin`, [texts[at] as Buffer])
    })
    return (performance.now() - startedMs) / msPerSecond
  }

  /** The names of those tables whose rows are not the record's. */
  differing(): string[] {
    const contentOf = (table: string): string =>
      JSON.stringify(this.#postgres.query(`select count(*), sum(hashtext(row::text)) as content from ${table} row`))
    return tables.map(({ name }) => name).filter((name) => contentOf(name) !== contentOf(`${schema}.${name}`))
  }

  drop(): void {
    this.#postgres.query(`drop schema if exists ${schema} cascade`)
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** By the partition that the persister has made meanwhile, whatever its indexes are. */
  #make(): void {
    if (this.#isMade) return
    this.#postgres.query(`create schema ${schema}`)
    for (const { name, isDaily } of tables) {
      this.#postgres.query(
        `create table ${schema}.${name} (like ${name} including all)${isDaily ? ' partition by range (decided_at)' : ''}`,
      )
      if (isDaily) this.#makeDay(name)
    }
    this.#isMade = true
  }

  #makeDay(name: string): void {
    const [day] = this.#postgres.query<{ partition: string; options: string | null }>(
      `select c.oid::regclass::text as partition, array_to_string(c.reloptions, ', ') as options
       from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = to_regclass($1) order by relname desc limit 1`,
      [name],
    )
    if (day === undefined) throw new Error(`${name} has no partition`)
    const own = `${schema}.${name}_day`
    this.#postgres.query(`create table ${own} (like ${day.partition} including all)`)
    if (day.options !== null) this.#postgres.query(`alter table ${own} set (${day.options})`)
    this.#postgres.query(
      `alter table ${schema}.${name} attach partition ${own} for values from (minvalue) to (maxvalue)`,
    )
  }
}
