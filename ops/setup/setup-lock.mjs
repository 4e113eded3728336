// One set-up at a time: two `npm ci` in one folder delete each other's packages.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import { SetupError, say } from './progress.mjs'

const waitMsMax = 15 * 60_000
const pollMs = 200

function startTicksOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined // ended, or there is no /proc
  }
}

/** Whether the process that wrote `<pid> <start time>` is still there; a reused pid has another start time. */
function isHeld(text) {
  const [pid, startTicks] = text.split(' ')
  if (process.platform === 'linux') return startTicksOf(pid) === startTicks
  try {
    process.kill(Number(pid), 0)
    return true
  } catch {
    return false
  }
}

/** Runs `work` while no other process does the same in this folder; waits for the other one if there is one. */
export async function underLock(path, work) {
  const draft = `${path}.${process.pid}`
  const deadline = Date.now() + waitMsMax
  let announced = false
  for (;;) {
    try {
      writeFileSync(draft, `${process.pid} ${startTicksOf(process.pid) ?? ''}`)
      linkSync(draft, path) // appears with its contents or not at all
      break
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) {
        throw new SetupError(`something has to be installed or built, but ${path} cannot be written (${error.code})`)
      }
      if (error.code !== 'EEXIST') throw error
    } finally {
      rmSync(draft, { force: true })
    }
    const holder = readIfThere(path)
    if (holder !== undefined && !isHeld(holder)) removeStale(path, holder)
    else {
      if (!announced && holder !== undefined) say(`waiting for another set-up, process ${holder.split(' ')[0]}`)
      announced = true
      if (Date.now() > deadline) throw new SetupError(`another set-up has held ${path} for too long`)
      await delay(pollMs)
    }
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/** Another waiter may have replaced the stale lock already: moving it aside shows which one it was. */
function removeStale(path, staleText) {
  const moved = `${path}.${process.pid}.stale`
  try {
    renameSync(path, moved)
    if (readFileSync(moved, 'utf8') !== staleText) linkSync(moved, path)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally {
    rmSync(moved, { force: true })
  }
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // released in between
  }
}
