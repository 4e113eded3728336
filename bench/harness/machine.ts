import { spawnSync } from 'node:child_process'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** What a number depends on besides the code that it measures; every report starts with it. */
export interface Machine {
  /** Of the checkout, with `+changes` when files differ from it; `unknown` outside a checkout. */
  readonly commit: string
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  /** Processes that wanted a core in the last minute, when the benchmark started: anything near `cores` disturbs it. */
  readonly loadAverage: number
}

export function describeMachine(): Machine {
  return {
    commit: checkedOutCommit(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
  }
}

/** @param folder of the checkout, or in it; default: this one */
export function checkedOutCommit(folder = import.meta.dirname): string {
  const commit = git(folder, 'rev-parse', '--short=12', 'HEAD')
  if (commit === undefined) return 'unknown'
  return git(folder, 'status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}+changes`
}

function git(cwd: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
