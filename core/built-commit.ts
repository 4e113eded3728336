import { existsSync, readFileSync } from 'node:fs'

/** The commit that the compiled code was built from, `-dirty` with changes; 'unknown' where the build was not told. */
export function builtCommit(): string {
  for (let folder = new URL('./', import.meta.url); folder.pathname !== '/'; folder = new URL('../', folder)) {
    const file = new URL('commit', folder)
    if (existsSync(file)) return readFileSync(file, 'utf8') || 'unknown'
  }
  return 'unknown'
}
