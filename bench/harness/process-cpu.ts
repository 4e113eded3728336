import { readdirSync, readFileSync } from 'node:fs'

/** The kernel's clock ticks a second in /proc/<pid>/stat: 100 on every Linux that Node runs on (USER_HZ). */
const ticksPerSecond = 100

interface ProcessRow {
  readonly pid: number
  readonly parent: number
  readonly name: string
  readonly cpuSeconds: number
}

/** CPU seconds used so far by a process and all its descendants, by a label that people know. Linux only. */
export function cpuSecondsBelow(
  rootPid: number,
  labelOf: (commandLine: string, name: string) => string,
): Map<string, number> {
  const rows = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readRow(Number(entry)) ?? [])
  const family = new Set([rootPid])
  // Parents may have larger pids than their children, so passes go on until one finds nobody new.
  for (let before = 0; before !== family.size; ) {
    before = family.size
    for (const row of rows) if (family.has(row.parent)) family.add(row.pid)
  }
  const seconds = new Map<string, number>()
  for (const row of rows) {
    if (!family.has(row.pid)) continue
    const label = labelOf(commandLineOf(row.pid), row.name)
    seconds.set(label, (seconds.get(label) ?? 0) + row.cpuSeconds)
  }
  return seconds
}

/** What `after` has more than `before`, largest first. */
export function cpuDifference(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): [string, number][] {
  return [...after]
    .map(([label, seconds]): [string, number] => [label, seconds - (before.get(label) ?? 0)])
    .toSorted((a, b) => b[1] - a[1])
}

/** The roles of a running hotcakes, for `cpuSecondsBelow`. */
export function roleOf(commandLine: string, name: string): string {
  if (name.startsWith('redis') || name.startsWith('valkey')) return 'Redis'
  if (name.startsWith('postgres')) return 'Postgres'
  if (commandLine.includes('http-worker')) return 'HTTP workers'
  if (commandLine.includes('persister')) return 'persister'
  return 'primary'
}

function readRow(pid: number): ProcessRow | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name stands in parentheses and may hold spaces and parentheses itself.
    const nameEnd = stat.lastIndexOf(')')
    const fields = stat.slice(nameEnd + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return {
      pid,
      parent: Number(fields[1]),
      name: stat.slice(stat.indexOf('(') + 1, nameEnd),
      cpuSeconds: ticks / ticksPerSecond,
    }
  } catch {
    // It ended between the listing and the reading.
    return undefined
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
