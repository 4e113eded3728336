import cluster, { type Worker } from 'node:cluster'

import { secretNames } from '../../core/config/secret-files.ts'
import type { ChildKind, FromChild, ToChild } from '../../core/ipc.ts'

export interface ChildOptions {
  readonly kind: ChildKind
  /** See ReportingProcess. */
  readonly number: number
  readonly executable: string
  readonly env: Readonly<Record<string, string>>
  readonly onMessage: (child: Child, message: FromChild) => void
  /** Once, when the process has ended and its last message was delivered. */
  readonly onGone: (child: Child) => void
}

/** It gets what it may know over its channel: the environment also has the password of the tables' owner. */
const withoutSecrets = Object.fromEntries(secretNames.map((name) => [name, '']))

/** One forked process, from its fork to its end. The supervisor decides; this only tells and does. */
export class Child {
  readonly kind: ChildKind
  readonly number: number
  readonly pid: number
  /**
   * Since when (performance.now()) its patience runs: its fork or when it last said what it waits for, and once it is ready
   * its last message.
   */
  silentSinceMs = performance.now()
  /** What is sent to it before it listens is lost. */
  isListening = false
  /** The kernel may give it connections. */
  isAccepting = false
  /** What it said that its start waits for. */
  waitsFor: string | undefined
  /** Why it said that it can't do its work. */
  failure: string | undefined
  /** Why the primary killed it. */
  killedBecause: string | undefined
  /** What it said that it leaves undone. */
  readonly left: string[] = []
  readonly #worker: Worker
  #exit: { code: number | null; signal: string | null } | undefined

  /** @throws what the operating system says when it can't fork */
  constructor(options: ChildOptions) {
    this.kind = options.kind
    this.number = options.number
    cluster.setupPrimary({ exec: options.executable, args: [String(options.number)] })
    this.#worker = cluster.fork({ ...withoutSecrets, ...options.env })
    this.pid = this.#worker.process.pid ?? 0
    const gone = once(() => options.onGone(this))
    this.#worker.on('message', (message: FromChild) => options.onMessage(this, message))
    this.#worker.on('exit', (code: number | null, signal: string | null) => {
      this.#exit = { code, signal }
      // Its last messages, the reason of its end among them, may still be unread: 'disconnect' follows them.
      if (!this.#worker.isConnected()) gone()
    })
    this.#worker.on('disconnect', () => {
      if (this.#exit !== undefined) gone()
    })
    this.#worker.on('error', (error: Error) => {
      if (this.#worker.process.pid !== undefined) return // of the channel: 'exit' will follow
      this.failure = `it could not be forked: ${error.message}`
      gone()
    })
  }

  /** A child that has just died gets nothing: its 'exit' tells. */
  send(message: ToChild): void {
    this.#worker.send(message, () => undefined)
  }

  /** SIGKILL also ends a process that is stopped or spins. */
  kill(because: string): void {
    this.killedBecause ??= because
    this.#worker.process.kill('SIGKILL')
  }

  get isCleanExit(): boolean {
    return this.#exit?.code === 0
  }

  /** How it ended and why, for people. */
  get end(): string {
    const { code = null, signal = null } = this.#exit ?? {}
    const how = signal === null ? `exit status ${code}` : signal
    const why = this.killedBecause ?? this.failure
    return why === undefined ? how : `${how}: ${why}`
  }
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
