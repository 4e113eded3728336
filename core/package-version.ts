import { existsSync, readFileSync } from 'node:fs'

/** The version in the nearest package.json: the compiled code may stand at any depth below it. 'unknown' without one. */
export function packageVersion(): string {
  for (let folder = new URL('./', import.meta.url); folder.pathname !== '/'; folder = new URL('../', folder)) {
    const file = new URL('package.json', folder)
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
  }
  return 'unknown'
}
