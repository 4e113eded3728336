import { existsSync } from 'node:fs'

/** The file of that name in the nearest folder that has one: the compiled code may stand at any depth below it. */
export function nearestFile(name: string): URL | undefined {
  for (let folder = new URL('./', import.meta.url); folder.pathname !== '/'; folder = new URL('../', folder)) {
    const file = new URL(name, folder)
    if (existsSync(file)) return file
  }
  return undefined
}
