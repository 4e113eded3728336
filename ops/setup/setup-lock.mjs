// One set-up at a time: two `npm ci` in one folder delete each other's packages.

import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import { acquireLockFile, UnusableLock } from '../embedded/lock-file.mjs'
import { identityOf, isAlive } from '../embedded/process-identity.mjs'
import { SetupError, say } from './progress.mjs'

const waitMsMax = 15 * 60_000
const pollMs = 200

/** The process that wrote `<pid> <start time>`, if it is still there. */
function holderIn(text) {
  const [pid, startTicks] = text.split(' ')
  const holder = { pid: Number(pid), startTicks: Number(startTicks) }
  return isAlive(holder) ? holder.pid : undefined
}

/** Runs `work` while no other process does the same in this folder; waits for the other one if there is one. */
export async function underLock(path, work) {
  await acquire(path)
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

async function acquire(path) {
  const { pid, startTicks } = identityOf(process.pid)
  const deadline = Date.now() + waitMsMax
  let announced = false
  const wait = async (holder) => {
    if (!announced) say(`waiting for another set-up, process ${holder}`)
    announced = true
    if (Date.now() > deadline) throw new SetupError(`another set-up has held ${path} for too long`)
    await delay(pollMs)
  }
  try {
    await acquireLockFile({ path, text: `${pid} ${startTicks}`, mode: 0o644, holderIn, wait })
  } catch (error) {
    if (error instanceof UnusableLock) throw new SetupError(error.message)
    if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error
    throw new SetupError(`something has to be installed or built, but ${path} cannot be written (${error.code})`)
  }
}
