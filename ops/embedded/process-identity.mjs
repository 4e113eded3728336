// @ts-check
// Plain JavaScript, because set-up looks for the holder of its lock before anything is compiled.

import { readFileSync } from 'node:fs'

/**
 * A process that a later one with the same pid can't be mistaken for.
 * @typedef {object} ProcessIdentity
 * @property {number} pid
 * @property {number} startTicks clock ticks between the machine's boot and the process' start; 0 where there is no /proc
 */

/** Position of the start time in /proc/<pid>/stat, counted from the field after the command's name. */
const startTicksField = 19

/** @param {number} pid */
function startTicksOf(pid) {
  let stat
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined // ended, or there is no /proc: the caller tells the two apart by a signal
  }
  // The name in parentheses may hold spaces and parentheses itself: the last one closes it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended; only its parent has not noticed yet.
  return fields[0] === 'Z' ? undefined : Number(fields[startTicksField])
}

/**
 * @param {number} pid
 * @returns {Readonly<ProcessIdentity>}
 */
export function identityOf(pid) {
  return { pid, startTicks: startTicksOf(pid) ?? 0 }
}

/**
 * Whether that very process is still there.
 * @param {Readonly<ProcessIdentity>} identity
 */
export function isAlive({ pid, startTicks }) {
  if (process.platform === 'linux') return startTicksOf(pid) === startTicks
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}
