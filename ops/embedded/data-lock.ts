import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { embeddedProbeIntervalMs, predecessorStopMsMax } from '../limits.ts'
import { acquireLockFile, UnusableLock } from './lock-file.mjs'
import { writePrivateFile } from './private-file.ts'
import type { ProcessIdentity } from './process-identity.mjs'
import { identityOf, isAlive } from './process-identity.mjs'
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

  /**
   * @throws Fault HC_DATA_DIR_IN_USE when another live process has the directory and isn't about to leave it;
   *   HC_EMBEDDED_FAILED when its lock can't be a file
   */
  static async acquire(dataDir: string, { say, signal }: Waiting): Promise<DataLock> {
    const lock = new DataLock(join(dataDir, 'lock'), identityOf(process.pid))
    const deadline = Date.now() + predecessorStopMsMax
    let waitsFor: number | undefined
    await acquireLockFile({
      path: lock.#path,
      text: lock.#text({ stopping: false }),
      mode: 0o600,
      holderIn: liveHolder,
      wait: async ({ pid, stopping }) => {
        if (!stopping || Date.now() >= deadline) {
          const state = stopping ? 'is still stopping' : 'is running'
          throw new Fault('HC_DATA_DIR_IN_USE', `${dataDir} belongs to process ${pid}, which ${state}`)
        }
        if (waitsFor !== pid) say(`waiting for process ${pid}, which is stopping, to leave ${dataDir}`)
        waitsFor = pid
        await delay(embeddedProbeIntervalMs, undefined, { signal })
      },
    }).catch((error: unknown) => {
      throw error instanceof UnusableLock ? new Fault('HC_EMBEDDED_FAILED', error.message) : error
    })
    return lock
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
}

function liveHolder(text: string): Holder | undefined {
  const holder = parseHolder(text)
  return holder !== undefined && isAlive(holder) ? holder : undefined
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
