import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { pidsOfFamily } from '../harness/process-cpu.ts'

/** The cores that the server and the generator may use; `undefined`: both may use all. */
export interface Pinning {
  readonly server: string
  readonly generator: string
}

/**
 * The generator gets the last core to itself, and the server the others: a generator that takes cores from the server
 * when it offers more would make the server look worse under overload than it is. `undefined` where that can't be done.
 */
export function plannedPinning(): Pinning | undefined {
  const cores = availableParallelism()
  if (cores < 2 || spawnSync('taskset', ['--version']).status !== 0) return undefined
  return { server: cores === 2 ? '0' : `0-${cores - 2}`, generator: String(cores - 1) }
}

/** A process, its threads and all that it has started and will start. */
export function pin(rootPid: number, cores: string): void {
  for (const pid of pidsOfFamily(rootPid)) spawnSync('taskset', ['-a', '-c', '-p', cores, String(pid)])
}
