import { readdirSync, readFileSync } from 'node:fs'

/** The kernel's clock ticks a second in /proc/<pid>/stat: 100 on every Linux that Node runs on (USER_HZ). */
const ticksPerSecond = 100

interface ProcessRow {
  readonly pid: number
  readonly parent: number
  readonly name: string
  readonly cpuSeconds: number
  /** Of its children that have ended, and of theirs. */
  readonly endedCpuSeconds: number
}

type LabelOf = (commandLine: string, name: string) => string

/**
 * CPU seconds used so far by a process and all its descendants, by a label that people know. What has ended counts as its
 * parent's, so a session of Postgres is not lost with its process. Linux only.
 */
export function cpuSecondsBelow(rootPid: number, labelOf: LabelOf): Map<string, number> {
  const seconds = new Map<string, number>()
  for (const row of familyOf(rootPid)) {
    const label = labelOf(commandLineOf(row.pid), row.name)
    seconds.set(label, (seconds.get(label) ?? 0) + row.cpuSeconds + row.endedCpuSeconds)
  }
  return seconds
}

/** What a process holds at this moment, and what it has used so far. */
export interface ProcessUse {
  readonly pid: number
  readonly label: string
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** The largest resident set so far. */
  readonly peakBytes: number
  /** 0: they are another user's, and not to be seen. */
  readonly descriptors: number
}

/** Of a process and all its descendants. Those that have ended are left out. Linux only. */
export function usesBelow(rootPid: number, labelOf: LabelOf): ProcessUse[] {
  return familyOf(rootPid).map(({ pid, name, cpuSeconds }) => ({
    pid,
    label: labelOf(commandLineOf(pid), name),
    cpuSeconds,
    residentBytes: memoryOf(pid, 'VmRSS'),
    peakBytes: memoryOf(pid, 'VmHWM'),
    descriptors: descriptorsOf(pid),
  }))
}

/** Resident memory of a process and all its descendants at this moment, by label, in bytes. Linux only. */
export function residentBytesBelow(rootPid: number, labelOf: LabelOf): Record<string, number> {
  const bytes: Record<string, number> = {}
  for (const { pid, name } of familyOf(rootPid)) {
    const label = labelOf(commandLineOf(pid), name)
    bytes[label] = (bytes[label] ?? 0) + memoryOf(pid, 'VmRSS')
  }
  return bytes
}

/** A process and all its descendants. Linux only. */
export function pidsOfFamily(rootPid: number): number[] {
  return familyOf(rootPid).map(({ pid }) => pid)
}

/** The pids of a process and all its descendants that have the label. */
export function pidsBelow(rootPid: number, labelOf: LabelOf, label: string): number[] {
  return familyOf(rootPid)
    .filter(({ pid, name }) => labelOf(commandLineOf(pid), name) === label)
    .map(({ pid }) => pid)
}

function familyOf(rootPid: number): ProcessRow[] {
  const rows = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readRow(Number(entry)) ?? [])
  const family = new Set([rootPid])
  // Parents may have larger pids than their children, so passes go on until one finds nobody new.
  for (let before = 0; before !== family.size; ) {
    before = family.size
    for (const row of rows) if (family.has(row.parent)) family.add(row.pid)
  }
  return rows.filter(({ pid }) => family.has(pid))
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

/** CPU seconds of the children of this process that have ended, and of theirs. Linux only. */
export function childrenCpuSeconds(): number {
  const fields = statFields(readFileSync('/proc/self/stat', 'utf8'))
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond
}

/** CPU seconds that one process has used so far, and its children that have ended. Linux only. @throws when it has ended */
export function cpuSecondsOf(pid: number): number {
  const row = readRow(pid)
  if (row === undefined) throw new Error(`process ${pid} has ended`)
  return row.cpuSeconds + row.endedCpuSeconds
}

/** The roles of a running hotcakes, for `cpuSecondsBelow`. */
export function roleOf(commandLine: string, name: string): string {
  if (name.startsWith('redis') || name.startsWith('valkey')) return 'Redis'
  if (name.startsWith('postgres')) return 'Postgres'
  // The second name is that of 2026-11 and before, for benchmarks that load such a version too.
  if (/server\/(?:worker\/main|http-worker-main)/.test(commandLine)) return 'HTTP workers'
  if (commandLine.includes('persister')) return 'persister'
  return 'primary'
}

function readRow(pid: number): ProcessRow | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = statFields(stat)
    const [ticks, endedTicks] = [Number(fields[11]) + Number(fields[12]), Number(fields[13]) + Number(fields[14])]
    return {
      pid,
      parent: Number(fields[1]),
      name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
      cpuSeconds: ticks / ticksPerSecond,
      endedCpuSeconds: endedTicks / ticksPerSecond,
    }
  } catch {
    // It ended between the listing and the reading.
    return undefined
  }
}

/** Those of proc_pid_stat(5) from the third on. The second, the name, may hold spaces and parentheses itself. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    // It ended between the listing and the reading, or is another user's.
    return 0
  }
}

/** VmHWM: the largest so far; VmRSS: now. */
function memoryOf(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(lines)?.[1] ?? 0) * 1_024
  } catch {
    // It ended between the listing and the reading.
    return 0
  }
}
