import assert from 'node:assert/strict'
import { Piscina } from 'piscina'
import { Fault } from '../core/faults.ts'
import type { LogHead } from '../core/postgres/log-epochs.ts'
import { PostgresFault } from '../core/postgres/postgres-fault.ts'
import type { CopiedChunk } from './copied-chunk.ts'
import type { CopyReply, CopyTask, CopyThreadData } from './copy-tasks.ts'
import type { LogChunk } from './log-chunk.ts'

export interface CopyPoolOptions {
  /** Its file exports runTask, see copy-thread.ts. */
  readonly thread: { readonly file: URL; readonly data: CopyThreadData }
  /** Called at most once, when the thread ended by itself: nothing can be copied any more. */
  readonly onThreadLost: (error: Error) => void
}

/**
 * The copy thread, seen from the main thread. Exactly one, for good: libpq works in the first thread of a process that
 * loads it and in no other, so a thread that died can't be replaced; the process has to be. All shards share it: their
 * tasks take turns, and each shard has one at a time.
 */
export class CopyPool {
  readonly #piscina: Piscina<CopyTask, CopyReply>
  /** Of the task that runs, which is one at a time: the thread's calls block. */
  #startedAtMs: number | undefined
  /** Settled when the last task that was given has ended; never rejects. */
  #last: Promise<unknown> = Promise.resolve()
  /** Set once the thread has nothing open any more; no task follows. */
  #closing = false

  constructor({ thread: { file, data }, onThreadLost }: CopyPoolOptions) {
    this.#piscina = new Piscina<CopyTask, CopyReply>({
      filename: file.href,
      name: 'runTask',
      minThreads: 1,
      maxThreads: 1,
      // The thread sleeps in Atomics.wait between tasks, which wakes fastest and suits calls that block.
      atomics: 'sync',
      recordTiming: false,
      workerData: data,
    })
    const [thread] = this.#piscina.threads
    assert.ok(thread)
    let problem: Error | undefined
    thread.once('error', (error: Error) => {
      problem = error
    })
    thread.once('exit', (code) => {
      if (!this.#closing) onThreadLost(problem ?? new Error(`the copy thread ended with code ${code}`))
    })
  }

  /** How long the running task has been running; 0 when none is. */
  get busyMs(): number {
    return this.#startedAtMs === undefined ? 0 : performance.now() - this.#startedAtMs
  }

  /** @throws Fault, see Copier */
  async head(shard: number): Promise<LogHead> {
    const reply = await this.#run({ kind: 'head', shard })
    assert.ok(reply.kind === 'head')
    return reply
  }

  /** The chunk's memory moves to the thread: it is empty afterwards. @throws Fault, see Copier */
  async copy(chunk: LogChunk): Promise<CopiedChunk> {
    const reply = await this.#run({ kind: 'copy', chunk }, [chunk.index.buffer, chunk.bytes.buffer])
    assert.ok(reply.kind === 'copied')
    return reply
  }

  /** Ends the connection and then the thread, after the tasks that were given. */
  async close(): Promise<void> {
    await this.#run({ kind: 'close' })
    this.#closing = true
    await this.#piscina.destroy()
  }

  /** Waits for its turn: first come, first served, so no shard waits for more than one task of each other shard. */
  #run(task: CopyTask, transferList: ArrayBuffer[] = []): Promise<CopyReply> {
    const reply = this.#last.then(() => this.#runNow(task, transferList))
    this.#last = reply.catch(() => undefined) // the caller's to handle
    return reply
  }

  async #runNow(task: CopyTask, transferList: ArrayBuffer[]): Promise<CopyReply> {
    assert.equal(this.#startedAtMs, undefined, 'one task at a time')
    assert.ok(!this.#closing, 'no task after the last')
    this.#startedAtMs = performance.now()
    try {
      const reply = await this.#piscina.run(task, { transferList })
      if (reply.kind === 'fault') throw new Fault(reply.code, reply.message)
      if (reply.kind === 'refusal') throw new PostgresFault(reply.message, reply.sqlState, reply.publicReason)
      return reply
    } finally {
      this.#startedAtMs = undefined
    }
  }
}
