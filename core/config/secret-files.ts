import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'

import { Fault } from '../faults.ts'
import { shown } from './pasted.ts'
import { settingPlaces } from './settings.ts'

const suffix = '_FILE'

/** The variables that hold a secret. */
export const secretNames: readonly string[] = settingPlaces
  .filter(({ setting }) => setting.sensitive === true)
  .map(({ setting }) => setting.env)

/** The variables that name the file of a secret instead of holding it, as container platforms hand secrets over. */
export const secretFileNames: readonly string[] = secretNames.map((name) => `${name}${suffix}`)

/**
 * The variables with each secret that is named by its file; a line break at the end of the file is no part of it.
 * @throws Fault HC_CONFIG when a file can't be read, or a secret is given both ways
 */
export function withSecretFiles(variables: Readonly<Record<string, string>>): Record<string, string> {
  const all = { ...variables }
  for (const fileName of secretFileNames) {
    const path = all[fileName]
    const name = fileName.slice(0, -suffix.length)
    if (path === undefined) continue
    if (all[name] !== undefined)
      throw new Fault('HC_CONFIG', `${name} and ${fileName} are both set: one of them has to go`)
    all[name] = readSecret(fileName, path)
  }
  return all
}

function readSecret(fileName: string, path: string): string {
  const secret = readText(fileName, path)
  // Some editors begin a file with a byte order mark, which nobody sees.
  const text = secret.replace(/^\uFEFF/, '').replace(/\r?\n$/, '')
  if (text === '') throw new Fault('HC_CONFIG', `${fileName} names ${shownPath(path)}, which is empty`)
  return text
}

function readText(fileName: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // The system's own words repeat the path.
    const { code } = error as NodeJS.ErrnoException
    throw new Fault('HC_CONFIG', `${fileName} names ${shownPath(path)}, which cannot be read (${code})`)
  }
}

/** A secret may have been put in the place of its file's name: only what is one beyond doubt is repeated. */
export function shownPath(path: string): string {
  const isThere = dirname(path) !== '/' && existsSync(dirname(path))
  return isAbsolute(path) && (isThere || /^(?:\/[A-Za-z._-]{1,16})+$/.test(path)) ? path : shown(path)
}
