import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { eventually } from '../helpers/eventually.ts'
import { createFolder, removeFolder, type Scope } from '../helpers/scope.ts'

const ballastName = 'ballast'
/** From large to small: at the end not even a page is left. */
const chunkBytes = [1 << 20, 1 << 16, 1 << 12, 1] as const

/** A file system of its own that is small enough to be filled: memory, with the errors of a disk. */
export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** @throws Error with mount's own words */
  static mount(scope: Scope, megabytes: number): SmallDisk {
    const folder = createFolder()
    scope.after(() => removeFolder(folder))
    run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'hotcakes-test', folder])
    scope.after(() => unmount(folder))
    return new SmallDisk(folder)
  }

  /** To the last byte. */
  fill(): void {
    const file = openSync(join(this.folder, ballastName), 'w')
    try {
      for (const bytes of chunkBytes) {
        const chunk = Buffer.alloc(bytes)
        while (writes(file, chunk));
      }
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(join(this.folder, ballastName), { force: true })
  }
}

/** Why there can be no small disk on this machine; undefined when there can. */
export const mountObstacle: string | undefined = tryMount()

function tryMount(): string | undefined {
  const releases: (() => void | Promise<void>)[] = []
  try {
    SmallDisk.mount({ after: (release) => releases.unshift(release) }, 1)
    return undefined
  } catch (error) {
    return `no file system can be mounted (${(error as Error).message})`
  } finally {
    for (const release of releases) void release()
  }
}

/** A process that was killed may have a file of it open for another moment. The first try is before it returns. */
async function unmount(folder: string): Promise<void> {
  const isDone = () => {
    run('umount', [folder])
    return true
  }
  await eventually(isDone, { what: `the end of ${folder}` })
}

function writes(file: number, chunk: Buffer): boolean {
  try {
    return writeSync(file, chunk) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(error?.message ?? stderr.trim())
}
