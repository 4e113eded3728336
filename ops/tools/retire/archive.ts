import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import { packageVersion } from '../../../core/package-version.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { isoTime } from '../../../core/time.ts'
import { Progress } from '../progress.ts'
import { isThere, WholeFile } from '../whole-files.ts'
import { readArchived, readPartition } from './day-rows.ts'
import type { DayPartition, RecordedDay } from './days.ts'
import { type ArchivedTable, archiveFormat, type Manifest, manifestEnding, parseManifest, stemOf } from './manifest.ts'
import { ArchiveProblem } from './refusals.ts'

const compress = promisify(gzip)

export interface ArchiveOptions {
  readonly folder: string
  /** The identity of the record. */
  readonly record: string
  readonly postgres: Postgres
  readonly say: (text: string) => void
  /** Throws when it should end. */
  readonly assertWanted: () => void
}

/** A day's files, whole and on disk. */
export interface DayArchive {
  readonly manifest: Manifest
  /** SHA-256 of the manifest. */
  readonly sha256: string
  /** This run has written it. */
  readonly isNew: boolean
}

/**
 * Writes the rows of a day into files, if that was not done before: the manifest comes last, so whoever finds it finds what it
 * describes. What a killed run has left half-written is removed.
 * @param beforeManifest called when all other files are there
 * @throws ArchiveProblem when the archive of another record is in its place
 */
export async function archiveDay(
  day: RecordedDay,
  options: ArchiveOptions,
  beforeManifest: () => void,
): Promise<DayArchive> {
  const { folder, record } = options
  const stem = stemOf(day)
  const path = join(folder, `${stem}${manifestEnding}`)
  if (await isThere(path)) return foundArchive(await readFile(path, 'utf8'), { path, record, day })
  await removeLeftovers(folder, stem)
  const tables: ArchivedTable[] = []
  const progress = new Progress(`rows of ${stem} archived`, options.say)
  const total = day.partitions.reduce((rows, each) => rows + each.rows, 0)
  for (const partition of day.partitions)
    tables.push(await archiveTable(partition, stem, { ...options, onRows: (rows) => progress.add(rows, total) }))
  const sums = tables.map(({ file, sha256 }) => `${sha256}  ${file}\n`).join('')
  await writeWhole(join(folder, `${stem}.sha256`), sums)
  const manifest: Manifest = {
    format: archiveFormat,
    record,
    day: day.day,
    part: day.part,
    tables,
    archived_at: isoTime(Date.now()),
    version: packageVersion(),
  }
  beforeManifest()
  const text = `${JSON.stringify(manifest, undefined, 2)}\n`
  await writeWhole(path, text)
  return { manifest, sha256: sha256Of(text), isNew: true }
}

/** Of a run that was ended before the day was dropped; its files are read again before it is. */
function foundArchive(
  text: string,
  { path, record, day }: { path: string; record: string; day: RecordedDay },
): DayArchive {
  const manifest = parseManifest(text, path)
  if (manifest.record !== record || stemOf(manifest) !== stemOf(day)) {
    throw new ArchiveProblem(`${path} is of the day ${manifest.day} of another record: choose another folder`)
  }
  return { manifest, sha256: sha256Of(text), isNew: false }
}

/** What has a name already and is of no manifest is written over. */
async function removeLeftovers(folder: string, stem: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.startsWith(`.${stem}.`) && name.endsWith('.partial')) await rm(join(folder, name))
}

async function archiveTable(
  partition: DayPartition,
  stem: string,
  { folder, postgres, assertWanted, onRows }: ArchiveOptions & { readonly onRows: (rows: number) => void },
): Promise<ArchivedTable> {
  const file = `${stem}.${partition.table}.copy.gz`
  const whole = await WholeFile.create(join(folder, file))
  try {
    // Files of several gzip members are gzip files: so no stream has to be kept from running ahead.
    await whole.write(await compress(Buffer.alloc(0)))
    const data = await readPartition(postgres, partition, async (part, rows) => {
      assertWanted()
      await whole.write(await compress(part))
      onRows(rows)
    })
    const sha256 = whole.digest()
    await whole.finish({ replace: true })
    const { table, columns } = partition
    return {
      table,
      file,
      columns,
      rows: data.rows,
      bytes: whole.bytes,
      sha256,
      data_bytes: data.bytes,
      data_sha256: data.sha256,
    }
  } finally {
    await whole.discard()
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await WholeFile.create(path)
  try {
    await file.write(text)
    await file.finish({ replace: true })
  } finally {
    await file.discard()
  }
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Reads the files of an archive.
 * @returns what is wrong with it; undefined: it is what its manifest says
 */
export async function damageOf({ tables }: Manifest, folder: string): Promise<string | undefined> {
  for (const { file, rows, sha256, data_sha256: dataSha256 } of tables) {
    let found: Awaited<ReturnType<typeof readArchived>>
    try {
      found = await readArchived(join(folder, file))
    } catch (error) {
      return `${file} can not be read: ${(error as Error).message}`
    }
    if (found.file.sha256 !== sha256) return `${file} has another checksum than its manifest`
    if (found.data.sha256 !== dataSha256 || found.data.rows !== rows)
      return `${file} holds other rows than its manifest says`
  }
  return undefined
}

/**
 * Compares the archive with the tables as they are now, whose rows must be kept from changing: row by row, by what is read back
 * from the disk.
 * @throws ArchiveProblem; Interrupted; PostgresFault
 */
export async function assertArchived(day: RecordedDay, archive: DayArchive, options: ArchiveOptions): Promise<void> {
  const { folder, postgres, assertWanted } = options
  const { manifest, isNew } = archive
  const stem = stemOf(day)
  const damage = await damageOf(manifest, folder)
  if (damage !== undefined) {
    throw new ArchiveProblem(`the archive of ${stem}: ${damage}; remove its manifest, and it is written again`)
  }
  const tables = new Map<string, ArchivedTable>(manifest.tables.map((each) => [each.table, each]))
  let isSame = tables.size === day.partitions.length
  for (const partition of day.partitions) {
    const { rows, sha256 } = await readPartition(postgres, partition, assertWanted)
    const archived = tables.get(partition.table)
    isSame &&= archived?.rows === rows && archived.data_sha256 === sha256
  }
  if (isSame) return
  // Nobody has it for an archive yet.
  if (isNew) await rm(join(folder, `${stem}${manifestEnding}`))
  throw new ArchiveProblem(
    isNew
      ? `rows of ${stem} have come while it was archived: run it again`
      : `the archive of ${stem} has other rows than Postgres: move it away, and another one is written`,
  )
}
