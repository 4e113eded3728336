import { type MachineCpu, machineCpu } from '../harness/machine-cpu.ts'
import { cpuSecondsBelow, peakMemoryBelow, roleOf } from '../harness/process-cpu.ts'
import type { OthersUse, RoleUse } from '../report/report.ts'

interface Reading {
  readonly atMs: number
  readonly byRole: ReadonlyMap<string, number>
  readonly machine: MachineCpu | undefined
}

/** What the server's processes, and others on this machine, used over the measurement. */
export class UseWatch {
  readonly #pid: number | undefined
  #before: Reading | undefined
  #after: Reading | undefined

  /** @param pid the server's primary; `undefined`: its processes can't be seen */
  constructor(pid: number | undefined) {
    this.#pid = pid
  }

  start(): void {
    this.#before = this.#read()
  }

  /** The first call counts. */
  end(): void {
    if (this.#before !== undefined) this.#after ??= this.#read()
  }

  byRole(): Record<string, RoleUse> | undefined {
    const [pid, before, after] = [this.#pid, this.#before, this.#after]
    if (pid === undefined || before === undefined || after === undefined) return undefined
    const uses = [...peakMemoryBelow(pid, roleOf)].map(([role, { processes, peakBytes }]): [string, RoleUse] => {
      const cpuSeconds = (after.byRole.get(role) ?? 0) - (before.byRole.get(role) ?? 0)
      return [role, { cpuSeconds: Number(cpuSeconds.toFixed(2)), processes, peakBytes }]
    })
    return uses.length === 0 ? undefined : Object.fromEntries(uses)
  }

  /** What neither the server nor the generators used, in cores: a quiet machine has next to nothing here. */
  others(generatorSeconds: readonly number[]): OthersUse | undefined {
    const [before, after] = [this.#before, this.#after]
    if (this.#pid === undefined || before?.machine === undefined || after?.machine === undefined) return undefined
    const seconds = (after.atMs - before.atMs) / 1_000
    const ours = secondsIn(after) - secondsIn(before) + generatorSeconds.reduce((sum, each) => sum + each, 0)
    const busy = after.machine.busySeconds - before.machine.busySeconds
    return {
      cores: Math.max(0, busy - ours) / seconds,
      stolenCores: (after.machine.stolenSeconds - before.machine.stolenSeconds) / seconds,
    }
  }

  #read(): Reading {
    const byRole = this.#pid === undefined ? new Map<string, number>() : cpuSecondsBelow(this.#pid, roleOf)
    return { atMs: performance.now(), byRole, machine: machineCpu() }
  }
}

function secondsIn({ byRole }: Reading): number {
  return [...byRole.values()].reduce((sum, each) => sum + each, 0)
}
