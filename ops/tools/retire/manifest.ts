import type { RecordedDay } from './days.ts'
import { ArchiveProblem } from './refusals.ts'

/** One table's file in an archive. */
export interface ArchivedTable {
  readonly table: string
  readonly file: string
  readonly columns: readonly string[]
  readonly rows: number
  /** Of the file, and its SHA-256. */
  readonly bytes: number
  readonly sha256: string
  /** Of what is in it: the rows as COPY gives and takes them. */
  readonly data_bytes: number
  readonly data_sha256: string
}

/** What an archive of a day says of itself. */
export interface Manifest {
  readonly format: typeof archiveFormat
  readonly record: string
  readonly day: string
  readonly part: number
  readonly tables: readonly ArchivedTable[]
  readonly archived_at: string
  readonly version: string
}

export const archiveFormat = 'hotcakes-day-1'
export const manifestEnding = '.manifest.json'

/** What the names of an archive's files begin with. */
export function stemOf({ day, part }: Pick<RecordedDay, 'day' | 'part'>): string {
  return part === 1 ? day : `${day}-part${part}`
}

/** @throws ArchiveProblem */
export function parseManifest(text: string, name: string): Manifest {
  const manifest = jsonOf(text) as Partial<Manifest> | undefined
  const isOurs = manifest?.format === archiveFormat && Array.isArray(manifest.tables) && manifest.tables.every(isTable)
  if (!isOurs) throw new ArchiveProblem(`${name} is no manifest of an archive`)
  return manifest as Manifest
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined // which is no manifest either
  }
}

/** A name with a slash would lead out of the folder. */
function isTable(table: unknown): boolean {
  const { file, rows, sha256, data_sha256: data } = (table ?? {}) as Partial<Record<keyof ArchivedTable, unknown>>
  return (
    typeof file === 'string' &&
    /^[\w.-]+$/.test(file) &&
    [typeof sha256, typeof data, typeof rows].join() === 'string,string,number'
  )
}
