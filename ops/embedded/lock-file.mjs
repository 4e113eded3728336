// @ts-check
// Plain JavaScript, because set-up takes a lock before anything is compiled.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A taken-over lock is looked at again after this long: whoever else took it over has written its own by then. */
const settleMs = 50
/** So often a lock may be neither created nor read in a row: then the path is something else, like a link to nowhere. */
const triesMax = 100

/** The path is no file that a lock can be: its message says what to do. */
export class UnusableLock extends Error {}

/**
 * A lock is a file that names its holder. So one whose holder has died is recognised, and taken over.
 * @template Holder
 * @typedef {object} LockFile
 * @property {string} path
 * @property {string} text what names this holder, and no other one
 * @property {number} mode
 * @property {(text: string) => Holder | undefined} holderIn the holder that a text names, if it is still there
 * @property {(holder: Holder) => Promise<void>} wait until it is worth looking again; rejects to give up
 */

/**
 * Returns when this process has the lock. It ends with the removal of the file. Throws an UnusableLock.
 * @template Holder
 * @param {LockFile<Holder>} lock
 */
export async function acquireLockFile(lock) {
  let tries = 0
  while (!create(lock)) {
    const text = read(lock.path)
    if (text === undefined) {
      // Released in between: a file that was there is gone.
      if ((tries += 1) === triesMax) throw new UnusableLock(`${lock.path} is no file that a lock can be: remove it`)
      await delay(settleMs)
      continue
    }
    tries = 0
    const holder = lock.holderIn(text)
    if (holder !== undefined) await lock.wait(holder)
    else if (await takeOver(lock, text)) return
  }
}

/**
 * A hard link appears with its contents or not at all; a file created with O_EXCL would be empty for a moment.
 * @param {LockFile<any>} lock
 */
function create({ path, text, mode }) {
  const draft = `${path}.${process.pid}`
  try {
    writeFileSync(draft, text, { mode })
    linkSync(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Several starters may find the same stale lock. Renaming moves exactly one file away, so whoever moved a fresh lock
 * by mistake sees it and puts it back; and whoever won looks again after a while whether the lock is still its own.
 * @param {LockFile<any>} lock
 * @param {string} staleText
 */
async function takeOver(lock, staleText) {
  const moved = `${lock.path}.${process.pid}.stale`
  try {
    renameSync(lock.path, moved)
    if (read(moved) !== staleText) linkSync(moved, lock.path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    rmSync(moved, { force: true })
  }
  if (!create(lock)) return false
  await delay(settleMs)
  return read(lock.path) === lock.text
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code
}
