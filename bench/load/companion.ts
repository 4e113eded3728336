import { type ChildProcess, fork } from 'node:child_process'
import { firstMessage, loadedMsMax } from '../harness/first-message.ts'
import { compiled } from '../harness/server-under-test.ts'
import type { Settings } from './settings.ts'
import type { Sale } from './shop.ts'

/** What a process that does something beside the buyers is told. */
export interface CompanionOrder {
  readonly settings: Settings
  readonly url: string
  readonly sale: Sale
  /** On the system's monotonic clock, which all processes share. It begins at once: the warm-up is the buyers'. */
  readonly startMs: number
  readonly endMs: number
}

export type ToCompanion = { readonly type: 'order'; readonly order: CompanionOrder } | { readonly type: 'stop' }
export type FromCompanion<Result> = { readonly type: 'ready' } | { readonly type: 'done'; readonly result: Result }

/** A process beside the buyers: one that reads, or one that looks at the board. */
export class Companion<Result> {
  readonly #child: ChildProcess
  readonly #done: Promise<Result>

  /** @param name of its compiled file without `-process.js`; @throws when it does not come to life */
  static async start<Result>(name: 'reader' | 'viewer'): Promise<Companion<Result>> {
    const child = fork(compiled(`../load/${name}-process.js`), { execArgv: [] })
    try {
      await firstMessage(child, loadedMsMax)
      return new Companion(child, name)
    } catch (cause) {
      child.kill('SIGKILL')
      throw new Error(`the ${name} process did not start`, { cause })
    }
  }

  private constructor(child: ChildProcess, name: string) {
    this.#child = child
    this.#done = new Promise((resolve, reject) => {
      child.on('message', (message: FromCompanion<Result>) => {
        if (message.type === 'done') resolve(message.result)
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`the ${name} process ended before its time`)))
    })
    this.#done.catch(() => undefined) // `result` tells
  }

  begin(order: CompanionOrder): void {
    this.#tell({ type: 'order', order })
  }

  /** Ends it now; what was counted so far is the result. */
  stop(): void {
    this.#tell({ type: 'stop' })
  }

  /** @throws when it ended before its end */
  result(): Promise<Result> {
    return this.#done
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #tell(message: ToCompanion): void {
    if (this.#child.connected) this.#child.send(message, () => undefined) // its end is found out by `result`
  }
}

/** The other end, in the process itself. @param run what it is for; ends early when the signal is aborted */
export function serveCompanion<Result>(run: (order: CompanionOrder, ended: AbortSignal) => Promise<Result>): void {
  const ended = new AbortController()
  const runToEnd = async (order: CompanionOrder): Promise<void> => {
    const result = await run(order, ended.signal)
    process.send?.({ type: 'done', result } satisfies FromCompanion<Result>, () => process.exit())
  }
  process.on('message', (message: ToCompanion) => {
    if (message.type === 'stop') ended.abort()
    else void runToEnd(message.order)
  })
  // A terminal's Ctrl+C reaches the whole process group; the parent alone decides what it means.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => undefined)
  process.on('disconnect', () => process.exit())
  process.send?.({ type: 'ready' } satisfies FromCompanion<Result>)
}
