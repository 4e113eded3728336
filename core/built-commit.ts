import { readFileSync } from 'node:fs'

import { nearestFile } from './nearest-file.ts'

/** The commit that the compiled code was built from, `-dirty` with changes; 'unknown' where the build was not told. */
export function builtCommit(): string {
  const file = nearestFile('commit')
  return file === undefined ? 'unknown' : readFileSync(file, 'utf8') || 'unknown'
}
