import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { damageOf } from './archive.ts'
import { manifestEnding, parseManifest, stemOf } from './manifest.ts'
import { ArchiveProblem } from './refusals.ts'

/** Reads every archive of the folder, and tells what came of each. Needs nothing but the files. @throws ArchiveProblem */
export async function verifyArchives(
  folder: string,
  tell: (text: string) => void,
): Promise<{ readonly archives: number; readonly damaged: number }> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' || error.code === 'ENOTDIR'
      ? new ArchiveProblem(`there is no folder ${folder}`)
      : error
  })
  const names = found.toSorted()
  const manifests = names.filter((name) => name.endsWith(manifestEnding))
  let damaged = 0
  const listed = new Set<string>()
  const unread: string[] = []
  for (const name of manifests) {
    const stem = name.slice(0, -manifestEnding.length)
    const { rows, damage, files } = await verifyOne(folder, name, stem)
    for (const file of files ?? []) listed.add(file)
    if (files === undefined) unread.push(`${stem}.`)
    if (damage !== undefined) damaged += 1
    tell(damage === undefined ? `${stem}: ${rows} rows, as its manifest says` : `${stem}: DAMAGED: ${damage}`)
  }
  for (const name of names.filter((each) => each.endsWith('.copy.gz'))) {
    if (listed.has(name) || unread.some((start) => name.startsWith(start))) continue
    damaged += 1
    tell(`${name}: DAMAGED: there is no manifest for it`)
  }
  return { archives: manifests.length, damaged }
}

interface Verified {
  readonly rows: number
  readonly damage: string | undefined
  /** Those that its manifest names; undefined: it can't be read. */
  readonly files: readonly string[] | undefined
}

async function verifyOne(folder: string, name: string, stem: string): Promise<Verified> {
  try {
    const manifest = parseManifest(await readFile(join(folder, name), 'utf8'), name)
    const files = manifest.tables.map(({ file }) => file)
    const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0)
    // A copy of another day's describes files that are there, and none of this day.
    if (stemOf(manifest) !== stem) return { rows, damage: `its manifest is of ${stemOf(manifest)}`, files: [] }
    return { rows, damage: await damageOf(manifest, folder), files }
  } catch (error) {
    if (!(error instanceof ArchiveProblem)) throw error
    return { rows: 0, damage: error.message, files: undefined }
  }
}
