import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'

/**
 * Cores that this process can keep busy: those it may run on, or what the CPU quota of its container gives, which Node 20
 * does not look at. A part of a core is not counted, as libuv does it from Node 22 on: more busy workers than the quota
 * feeds are all halted together until the next period, and what is left over is the persister's and the primary's.
 */
export function usableCores(quota: number | undefined = cpuQuota()): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(quota ?? Number.POSITIVE_INFINITY)))
}

/**
 * Cores' worth of time that the control groups (Linux) of this process leave it: the least of its own and of all above it.
 * `undefined`: as much as there is.
 * @param root where /proc and the mounted control groups are looked for
 */
export function cpuQuota(root = '/'): number | undefined {
  const quotas = cpuGroup(root)
    ?.folders.map((folder) => quotaOf(folder))
    .filter((quota) => quota !== undefined)
  return quotas === undefined || quotas.length === 0 ? undefined : Math.min(...quotas)
}

/** The folders of the control group that shares out CPU time to this process, its own first. */
export function cpuGroup(root = '/'): { readonly folders: readonly string[] } | undefined {
  const memberships = lines(join(root, 'proc/self/cgroup')).map((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    return { controllers: controllers.split(','), path }
  })
  const mounts = lines(join(root, 'proc/self/mountinfo')).flatMap((line) => mountIn(line) ?? [])
  // In a system with both versions the controller is where the first one names it.
  const first = memberships.find(({ controllers }) => controllers.includes('cpu'))
  const membership = first ?? memberships.find(({ controllers }) => controllers[0] === '')
  const mount = mounts.find(({ type, options }) =>
    first === undefined ? type === 'cgroup2' : type === 'cgroup' && options.includes('cpu'),
  )
  return membership && mount && { folders: foldersOf(root, mount, membership.path) }
}

interface Mount {
  /** The group that is mounted. */
  readonly group: string
  readonly folder: string
  readonly type: string
  readonly options: readonly string[]
}

function mountIn(line: string): Mount | undefined {
  const [place = '', kind] = line.split(' - ')
  const [, , , group, folder] = place.split(' ').map(withoutOctal)
  const [type, , options = ''] = (kind ?? '').split(' ')
  if (group === undefined || folder === undefined || type === undefined) return undefined
  return { group, folder, type, options: options.split(',') }
}

/** The kernel writes a space in a path as \040. */
function withoutOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** From the process's own group up to the one that is mounted. A group outside of the mount can't be seen. */
function foldersOf(root: string, mount: Mount, path: string): string[] {
  const top = join(root, mount.folder)
  const below = relative(mount.group, path)
  const folders = [below.startsWith('..') ? top : join(top, below)]
  while (folders[0] !== top) folders.unshift(dirname(folders[0] as string))
  return folders.toReversed()
}

function quotaOf(folder: string): number | undefined {
  const [max = lines(join(folder, 'cpu.cfs_quota_us'))[0], period = lines(join(folder, 'cpu.cfs_period_us'))[0]] =
    lines(join(folder, 'cpu.max'))[0]?.split(' ') ?? []
  const quota = Number(max) / Number(period)
  return quota > 0 ? quota : undefined // no such file, `max`, or -1
}

/** [] when the file can't be read: not on this system, or not for this process. */
function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n')
  } catch {
    return [] // then nothing is known of a quota, and there is none to keep to
  }
}
