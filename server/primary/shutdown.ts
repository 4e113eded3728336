import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { forcedEndMsMax, signalEchoMs, waitSayMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'

/**
 * Exit statuses of the server: 0 after an orderly stop that left nothing undone; 1 when it could not start, had to stop
 * because of a fault, or left something undone (it says what); 2 for a setting that is missing or not allowed;
 * 128 + n when a second signal, with the number n, ended it at once.
 */
export const exitStatus = { ok: 0, fault: 1, config: 2 } as const

const stopSignals = {
  SIGTERM: 15,
  SIGINT: 2,
  // When it means that the terminal was closed; otherwise it asks for a reload.
  SIGHUP: 1,
} as const
export type StopSignal = keyof typeof stopSignals

/** Something that was opened and has to be closed. */
export interface Stage {
  readonly name: string
  /** Closes it in order; answers what had to be left undone, in sentences. */
  close(): Promise<readonly string[]>
  /** For a forced end: what would be left if it ended now. Bounded in time. */
  left?(): Promise<readonly string[]> | readonly string[]
  /** For a forced end. */
  kill?(): Promise<unknown>
}

export interface ShutdownOptions {
  readonly log: Log
  readonly deadlineMs: number
}

/**
 * From the first reason to stop to the exit status. Stages close in the reverse order of their opening, under one
 * deadline; past it, or on a second signal, what is left is named and killed.
 */
export class Shutdown {
  readonly #log: Log
  readonly #deadlineMs: number
  readonly #abort = new AbortController()
  readonly #stages: Stage[] = []
  readonly #forced: Promise<number>
  #force: (status: number) => void = () => undefined
  #requested: { readonly atMs: number; readonly signal: StopSignal | undefined } | undefined
  #status: number = exitStatus.ok
  #isForced = false
  #deadline: NodeJS.Timeout | undefined

  constructor(options: ShutdownOptions) {
    this.#log = options.log
    this.#deadlineMs = options.deadlineMs
    this.#forced = new Promise((resolve) => {
      this.#force = resolve
    })
  }

  /** Aborted from the first reason to stop on; a start that is under way watches it. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** To be closed before everything that was opened before it. */
  opened(stage: Stage): void {
    this.#stages.push(stage)
  }

  onSignal(signal: StopSignal): void {
    if (this.#requested === undefined) {
      this.#begin(`${signal} received`, signal)
      return
    }
    const first = this.#requested
    if (first.signal !== undefined && performance.now() - first.atMs < signalEchoMs) return
    this.#log.error({ signal }, 'a second signal: ending at once')
    this.#force(128 + stopSignals[signal])
  }

  /** Stops the service because of a fault, or of a bug; the exit status will tell. A later one changes nothing more. */
  onFault(error: unknown): void {
    this.#status = exitStatus.fault
    const isFault = error instanceof Fault
    if (isFault) this.#log.fatal({ code: error.code }, error.message)
    else this.#log.fatal({ err: error }, 'a bug')
    if (this.#requested === undefined) this.#begin(isFault ? error.code : 'a bug', undefined)
  }

  /**
   * Waits for the start to end and then for a reason to stop; closes everything.
   * @param started settles soon after `signal` is aborted; its failure is a reason to stop
   * @returns the exit status
   */
  async run(started: Promise<unknown>): Promise<number> {
    const orderly = started
      .catch((error: unknown) => {
        if (!this.signal.aborted) this.onFault(error)
      })
      .then(() => this.#untilRequested())
      .then(() => this.#closeInOrder())
    const forced = await Promise.race([orderly, this.#forced])
    clearTimeout(this.#deadline)
    if (forced === undefined) return this.#status
    await this.#endNow()
    return forced
  }

  #begin(why: string, signal: StopSignal | undefined): void {
    this.#requested = { atMs: performance.now(), signal }
    this.#log.info({ deadlineMs: this.#deadlineMs }, `stopping: ${why}`)
    this.#deadline = setTimeout(() => {
      const fault = new Fault('HC_SHUTDOWN_TIMEOUT', `not stopped after ${this.#deadlineMs} ms: ending at once`)
      this.#log.error({ code: fault.code }, fault.message)
      this.#force(exitStatus.fault)
    }, this.#deadlineMs)
    this.#abort.abort(new Error(`stopping: ${why}`))
  }

  async #untilRequested(): Promise<void> {
    if (this.signal.aborted) return
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve, { once: true }))
  }

  async #closeInOrder(): Promise<undefined> {
    for (let stage = this.#stages.at(-1); stage !== undefined; stage = this.#stages.at(-1)) {
      const startedMs = performance.now()
      const { name } = stage
      const late = setTimeout(() => this.#log.info(`waiting for ${name} to close`), waitSayMs)
      const left = await stage.close().catch((error: unknown) => [`${name}: ${String(error)}`])
      clearTimeout(late)
      if (this.#isForced) return
      this.#stages.pop()
      if (left.length > 0) this.#status ||= exitStatus.fault
      this.#sayLeft(left)
      this.#log.info({ tookMs: Math.round(performance.now() - startedMs) }, `closed: ${stage.name}`)
    }
  }

  async #endNow(): Promise<void> {
    this.#isForced = true
    const stages = this.#stages.toReversed()
    const left = await Promise.allSettled(stages.map(async (stage) => (await stage.left?.()) ?? []))
    this.#sayLeft(left.flatMap((result) => (result.status === 'fulfilled' ? result.value : [])))
    const killing = Promise.allSettled(stages.map(async (stage) => await stage.kill?.()))
    await Promise.race([killing, delay(forcedEndMsMax)])
  }

  #sayLeft(left: readonly string[]): void {
    for (const what of left) this.#log.error(`left: ${what}`)
  }
}
