import { readFileSync } from 'node:fs'

import { nearestFile } from './nearest-file.ts'

/** The version in the nearest package.json; 'unknown' without one. */
export function packageVersion(): string {
  const file = nearestFile('package.json')
  return file === undefined ? 'unknown' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
