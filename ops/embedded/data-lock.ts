import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { embeddedProbeIntervalMs, lockSettleMs, predecessorStopMsMax } from '../../core/limits.ts'
import { writePrivateFile } from './private-file.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { identityOf, isAlive } from './process-identity.ts'
import type { Waiting } from './waiting.ts'

interface Holder extends ProcessIdentity {
  /** The holder is about to leave: it is worth waiting. */
  readonly stopping: boolean
}

/**
 * The claim of one process on a data directory. Two servers on one append-only file would destroy it, and Redis itself
 * has no guard against that. The file names the holder, so a lock whose holder died is recognised and taken over.
 * Not seen: a holder in another container that shares the directory, whose pids mean nothing here.
 */
export class DataLock {
  readonly #path: string
  readonly #own: ProcessIdentity

  private constructor(path: string, own: ProcessIdentity) {
    this.#path = path
    this.#own = own
  }

  /** @throws Fault HC_DATA_DIR_IN_USE when another live process has the directory and isn't about to leave it */
  static async acquire(dataDir: string, { say, signal }: Waiting): Promise<DataLock> {
    const path = join(dataDir, 'lock')
    const lock = new DataLock(path, identityOf(process.pid))
    const deadline = Date.now() + predecessorStopMsMax
    let waitsFor: number | undefined
    for (;;) {
      if (lock.#create()) return lock
      const text = readLock(path)
      if (text === undefined) continue // released in between
      const holder = parseHolder(text)
      if (holder === undefined || !isAlive(holder)) {
        if (await lock.#takeOver(text)) return lock
      } else if (holder.stopping && Date.now() < deadline) {
        if (waitsFor !== holder.pid) say(`waiting for process ${holder.pid}, which is stopping, to leave ${dataDir}`)
        waitsFor = holder.pid
        await delay(embeddedProbeIntervalMs, undefined, { signal })
      } else {
        const state = holder.stopping ? 'is still stopping' : 'is running'
        throw new Fault('HC_DATA_DIR_IN_USE', `${dataDir} belongs to process ${holder.pid}, which ${state}`)
      }
    }
  }

  /** From now on, a successor waits for the release instead of giving up at once. */
  announceStop(): void {
    writePrivateFile(this.#path, this.#text({ stopping: true }))
  }

  release(): void {
    rmSync(this.#path, { force: true })
  }

  #text({ stopping }: { stopping: boolean }): string {
    return `${JSON.stringify({ ...this.#own, stopping } satisfies Holder)}\n`
  }

  /** A hard link appears with its contents or not at all; a file created with O_EXCL would be empty for a moment. */
  #create(): boolean {
    const draft = `${this.#path}.${process.pid}`
    writeFileSync(draft, this.#text({ stopping: false }), { mode: 0o600 })
    try {
      linkSync(draft, this.#path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    } finally {
      rmSync(draft, { force: true })
    }
  }

  /**
   * Several starters may find the same stale lock. Renaming moves exactly one file away, so whoever moved a fresh lock
   * by mistake sees it and puts it back. The winner looks again after a while whether the lock is still its own.
   */
  async #takeOver(staleText: string): Promise<boolean> {
    const moved = `${this.#path}.${process.pid}.stale`
    try {
      renameSync(this.#path, moved)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
    try {
      if (readLock(moved) !== staleText) linkSync(moved, this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(moved, { force: true })
    }
    if (!this.#create()) return false
    await delay(lockSettleMs)
    return readLock(this.#path) === this.#text({ stopping: false })
  }
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `undefined` when the text is no lock of ours, for instance because the disk was full: nobody can be holding it. */
function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTicks, stopping } = JSON.parse(text) as Partial<Holder>
    if (typeof pid !== 'number' || typeof startTicks !== 'number') return undefined
    return { pid, startTicks, stopping: stopping === true }
  } catch {
    return undefined
  }
}
