import { readFileSync } from 'node:fs'

/** Seconds of CPU since the machine's start, over all cores. */
export interface MachineCpu {
  readonly busySeconds: number
  /** What the hypervisor gave to others while we wanted it. */
  readonly stolenSeconds: number
}

/** /proc/stat counts in USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

/** `undefined` where there is no /proc. */
export function machineCpu(): MachineCpu | undefined {
  let line: string
  try {
    line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  } catch {
    return undefined // not Linux
  }
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, stolen = 0] = line.split(/\s+/).slice(1).map(Number)
  return {
    busySeconds: (user + nice + system + irq + softIrq) / ticksPerSecond,
    stolenSeconds: stolen / ticksPerSecond,
  }
}
