import { readdirSync, readFileSync } from 'node:fs'

interface Running {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly command: string
}

function running(): Running[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()
      return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent), state, command }]
    } catch {
      return [] // it has just ended
    }
  })
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
  return running().flatMap(({ pid, command }) => (pids.includes(pid) ? [`${pid} ${command}`] : []))
}

export function isStopped(pid: number): boolean {
  return running().some((process) => process.pid === pid && process.state.startsWith('T'))
}
