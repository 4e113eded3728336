import { readdirSync, readFileSync } from 'node:fs'

interface Running {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly command: string
}

/** undefined: it has ended. */
function look(pid: number): Running | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()
    return state === 'Z' ? undefined : { pid, parent: Number(parent), state, command }
  } catch {
    return undefined
  }
}

function running(): Running[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (look(Number(name)) ?? []) : []))
}

/** The process and everything below it: a server with its children and its embedded services. */
export function processTree(root: number): number[] {
  const all = running()
  const below = (pid: number): number[] => [
    pid,
    ...all.filter(({ parent }) => parent === pid).flatMap((child) => below(child.pid)),
  ]
  return below(root)
}

/** The processes that a process has started and whose command matches. */
export function childrenOf(parent: number, command: RegExp): number[] {
  return running().flatMap((child) => (child.parent === parent && command.test(child.command) ? [child.pid] : []))
}

/** Those of the processes that still run, with what they are. Empty: nothing was left behind. */
export function stillRunning(pids: readonly number[]): string[] {
  return pids.flatMap((pid) => {
    const found = look(pid)
    return found === undefined ? [] : [`${pid} ${found.command}`]
  })
}

export function isStopped(pid: number): boolean {
  return look(pid)?.state.startsWith('T') ?? false
}

/** Also where it has just ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  // To 0 it would go to all of this process' group, and to 1 to whatever runs everything.
  if (pid <= 1) throw new RangeError(`no process to send ${name} to`)
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
