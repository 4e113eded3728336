import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { damageOf } from './archive.ts'
import { manifestEnding, parseManifest } from './manifest.ts'
import { ArchiveProblem } from './refusals.ts'

/** Reads every archive of the folder, and tells what came of each. Needs nothing but the files. */
export async function verifyArchives(
  folder: string,
  tell: (text: string) => void,
): Promise<{ readonly archives: number; readonly damaged: number }> {
  const names = (await readdir(folder)).toSorted()
  const manifests = names.filter((name) => name.endsWith(manifestEnding))
  let damaged = 0
  for (const name of manifests) {
    const stem = name.slice(0, -manifestEnding.length)
    const { rows, damage } = await verifyOne(folder, name)
    if (damage !== undefined) damaged += 1
    tell(damage === undefined ? `${stem}: ${rows} rows, as its manifest says` : `${stem}: DAMAGED: ${damage}`)
  }
  for (const name of names.filter((each) => each.endsWith('.copy.gz'))) {
    const stem = name.slice(0, name.indexOf('.'))
    if (manifests.includes(`${stem}${manifestEnding}`)) continue
    damaged += 1
    tell(`${name}: DAMAGED: there is no manifest for it`)
  }
  return { archives: manifests.length, damaged }
}

async function verifyOne(folder: string, name: string): Promise<{ rows: number; damage: string | undefined }> {
  try {
    const manifest = parseManifest(await readFile(join(folder, name), 'utf8'), name)
    const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0)
    return { rows, damage: await damageOf(manifest, folder) }
  } catch (error) {
    if (!(error instanceof ArchiveProblem)) throw error
    return { rows: 0, damage: error.message }
  }
}
