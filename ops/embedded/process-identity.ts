import { readFileSync } from 'node:fs'

/** A process that a later one with the same pid can't be mistaken for. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks between the machine's boot and the process' start; 0 where there is no /proc. */
  readonly startTicks: number
}

/** Position of the start time in /proc/<pid>/stat, counted from the field after the command's name. */
const startTicksField = 19

function startTicksOf(pid: number): number | undefined {
  let stat: string
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

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid) ?? 0 }
}

/** Whether that very process is still there. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  if (process.platform === 'linux') return startTicksOf(pid) === startTicks
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
