import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { compiled } from '../harness/server-under-test.ts'
import type { Reading } from '../report/report.ts'
import type { FromReaders, ReaderOrder, ToReaders } from './reader-process.ts'

/** How long the process may take to load its code. */
const readyMsMax = 30_000

/** The process that reads beside the buyers. */
export class Readers {
  readonly #child: ChildProcess
  readonly #done: Promise<Reading>

  /** @throws when it does not come to life */
  static async start(): Promise<Readers> {
    const child = fork(compiled('../load/reader-process.js'), { execArgv: [] })
    try {
      await once(child, 'message', { signal: AbortSignal.timeout(readyMsMax) })
      return new Readers(child)
    } catch (cause) {
      child.kill('SIGKILL')
      throw new Error('the readers did not start', { cause })
    }
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#done = new Promise((resolve, reject) => {
      child.on('message', (message: FromReaders) => {
        if (message.type === 'done') resolve(message.reading)
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error('the readers ended before their time')))
    })
    this.#done.catch(() => undefined) // `result` tells
  }

  read(order: ReaderOrder): void {
    this.#tell({ type: 'order', order })
  }

  /** Ends the reading now; what was counted so far is the result. */
  stop(): void {
    this.#tell({ type: 'stop' })
  }

  /** @throws when it ended before its end */
  result(): Promise<Reading> {
    return this.#done
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #tell(message: ToReaders): void {
    if (this.#child.connected) this.#child.send(message, () => undefined) // its end is found out by `result`
  }
}
