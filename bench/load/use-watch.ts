import { type MachineCpu, machineCpu } from '../harness/machine-cpu.ts'
import { type ProcessUse, roleOf, usesBelow } from '../harness/process-cpu.ts'
import type { Holding, OthersUse, RoleUse } from '../report/report.ts'

interface Moment {
  readonly atMs: number
  readonly machine: MachineCpu | undefined
}

/** Often enough to see what grows within an hour; a look takes some milliseconds of CPU. */
const lookMs = 60_000

/** What the server's processes, and others on this machine, used over the measurement. */
export class UseWatch {
  /** What the processes held, a minute from one to the next. */
  readonly holdings: Holding[] = []
  readonly #pid: number | undefined
  #before: Moment | undefined
  #after: Moment | undefined
  /** At the last look. */
  #uses: readonly ProcessUse[] = []
  readonly #cpuSecondsByRole = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  /** @param pid the server's primary; `undefined`: its processes can't be seen */
  constructor(pid: number | undefined) {
    this.#pid = pid
  }

  start(): void {
    this.#before = now()
    this.#uses = this.#read()
    this.#timer = setInterval(() => this.#hold(), lookMs).unref()
  }

  /** To be called before processes are ended: what they use after their last look isn't counted. */
  look(): void {
    const before = new Map(this.#uses.map(({ pid, cpuSeconds }) => [pid, cpuSeconds]))
    this.#uses = this.#read()
    for (const { pid, label, cpuSeconds } of this.#uses) {
      const used = cpuSeconds - (before.get(pid) ?? 0)
      this.#cpuSecondsByRole.set(label, (this.#cpuSecondsByRole.get(label) ?? 0) + used)
    }
  }

  /** The first call counts. */
  end(): void {
    if (this.#before === undefined || this.#after !== undefined) return
    clearInterval(this.#timer)
    this.#after = now()
    this.look()
  }

  byRole(): Record<string, RoleUse> | undefined {
    if (this.#after === undefined || this.#uses.length === 0) return undefined
    const uses: Record<string, RoleUse> = {}
    for (const { label, peakBytes } of this.#uses) {
      const before = uses[label] ?? { processes: 0, peakBytes: 0 }
      const cpuSeconds = Number((this.#cpuSecondsByRole.get(label) ?? 0).toFixed(2))
      uses[label] = { cpuSeconds, processes: before.processes + 1, peakBytes: before.peakBytes + peakBytes }
    }
    return uses
  }

  /** What neither the server nor the generators used, in cores: a quiet machine has next to nothing here. */
  others(generatorSeconds: readonly number[]): OthersUse | undefined {
    const [before, after] = [this.#before, this.#after]
    if (this.#pid === undefined || before?.machine === undefined || after?.machine === undefined) return undefined
    const seconds = (after.atMs - before.atMs) / 1_000
    const ours = [...this.#cpuSecondsByRole.values(), ...generatorSeconds].reduce((sum, each) => sum + each, 0)
    const busy = after.machine.busySeconds - before.machine.busySeconds
    return {
      cores: Math.max(0, busy - ours) / seconds,
      stolenCores: (after.machine.stolenSeconds - before.machine.stolenSeconds) / seconds,
    }
  }

  #hold(): void {
    this.look()
    const byRole: Record<string, { processes: number; residentBytes: number; descriptors: number }> = {}
    for (const { label, residentBytes, descriptors } of this.#uses) {
      const sum = (byRole[label] ??= { processes: 0, residentBytes: 0, descriptors: 0 })
      sum.processes += 1
      sum.residentBytes += residentBytes
      sum.descriptors += descriptors
    }
    const second = Math.round((performance.now() - (this.#before?.atMs ?? 0)) / 1_000)
    if (this.#uses.length > 0) this.holdings.push({ second, byRole })
  }

  #read(): ProcessUse[] {
    return this.#pid === undefined ? [] : usesBelow(this.#pid, roleOf)
  }
}

function now(): Moment {
  return { atMs: performance.now(), machine: machineCpu() }
}
