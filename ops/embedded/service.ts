import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { freePort } from '../../core/free-port.ts'
import { waitSayMs } from '../../core/limits.ts'
import {
  embeddedProbeIntervalMs,
  embeddedRetryDelayMs,
  embeddedStartAttempts,
  embeddedStartMsMax,
  embeddedStopMsMax,
} from '../limits.ts'
import { lastWords } from './last-words.ts'
import type { Launcher } from './launcher.ts'
import { launchService } from './launcher.ts'
import type { ProcessIdentity } from './process-identity.mjs'
import { identityOf } from './process-identity.mjs'
import type { Waiting } from './waiting.ts'

export interface ServiceExit {
  readonly service: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServicePlan {
  readonly name: string
  readonly launcher: Launcher
  /** A fixed port, so that clients notice a restart as a gap only. Absent: a free one. */
  readonly port?: number | undefined
  /** Of those that are free, the one to take first. */
  readonly preferredPort?: number | undefined
  /** The program and its arguments, without anything secret: every user of the machine can read them. */
  readonly command: (port: number) => readonly string[] | Promise<readonly string[]>
  readonly answers: (port: number) => Promise<boolean>
  readonly deathSignal: 'TERM' | 'INT'
  /** From gentle to hard; each gets `embeddedStopMsMax` to work. */
  readonly stopSignals: readonly NodeJS.Signals[]
  /** Receives what the service prints; the file of the last start is kept beside it. */
  readonly logFile: string
  /** Told of each attempt's process before it is ready, so that a successor can find it. */
  readonly onLaunch: (launched: { identity: ProcessIdentity; port: number }) => void
  readonly waiting: Waiting
}

/** A service that runs as our child and answers on a port of the loopback interface. */
export class EmbeddedService {
  readonly port: number
  readonly #plan: ServicePlan
  readonly #child: ChildProcess
  readonly #exited: Promise<ServiceExit>
  #stopping = false

  private constructor(plan: ServicePlan, options: { child: ChildProcess; port: number; exited: Promise<ServiceExit> }) {
    this.#plan = plan
    this.#child = options.child
    this.port = options.port
    this.#exited = options.exited
  }

  /**
   * Resolves when the service answers.
   * @throws Fault HC_EMBEDDED_FAILED with the end of the service's own log when it does not
   */
  static async start(plan: ServicePlan): Promise<EmbeddedService> {
    const { say, signal } = plan.waiting
    if (existsSync(plan.logFile)) renameSync(plan.logFile, `${plan.logFile}.last`)
    for (let attempt = 1; ; attempt++) {
      const service = await EmbeddedService.#launch(plan)
      const problem = await service.#untilReady()
      if (problem === undefined) return service
      await service.stop()
      signal.throwIfAborted()
      if (attempt === embeddedStartAttempts) {
        const words = lastWords(readFileSync(plan.logFile, 'utf8'))
        throw new Fault('HC_EMBEDDED_FAILED', `${plan.name} ${problem}; its log (${plan.logFile}) ends: ${words}`)
      }
      say(`${plan.name} ${problem}: it is started again in ${embeddedRetryDelayMs} ms`)
      await delay(embeddedRetryDelayMs, undefined, { signal })
    }
  }

  static async #launch(plan: ServicePlan): Promise<EmbeddedService> {
    const port = plan.port ?? (await freePort(plan.preferredPort))
    const command = await plan.command(port)
    const log = openSync(plan.logFile, 'a', 0o600)
    try {
      const child = launchService({ ...plan, command, stdio: ['ignore', log, log] })
      const exited = new Promise<ServiceExit>((resolve) => {
        child.on('exit', (code, signal) => resolve({ service: plan.name, code, signal }))
      })
      const failed = new Promise<Error>((resolve) => {
        // It also comes later, when a signal could not be sent: then the process lives, and whoever waits for its end is told.
        child.on('error', resolve)
      })
      if (child.pid === undefined) {
        const cause = await failed
        throw new Fault('HC_EMBEDDED_FAILED', `${plan.name} cannot be run: ${cause.message}`, { cause })
      }
      plan.onLaunch({ identity: identityOf(child.pid), port })
      return new EmbeddedService(plan, { child, port, exited })
    } finally {
      closeSync(log)
    }
  }

  /** What went wrong, `undefined` when it answers. */
  async #untilReady(): Promise<string | undefined> {
    const { name, logFile, waiting } = this.#plan
    const startedMs = Date.now()
    const deadline = startedMs + embeddedStartMsMax
    let isSaid = false
    while (Date.now() < deadline) {
      if (waiting.signal.aborted) return 'is not waited for any more'
      if (!isSaid && Date.now() - startedMs > waitSayMs) {
        waiting.say(`waiting for ${name}, process ${this.pid}, to read its data (its log: ${logFile})`)
        isSaid = true
      }
      if (this.hasExited) return `ended at once (${this.#child.exitCode ?? this.#child.signalCode})`
      if (await this.#plan.answers(this.port)) return undefined
      await delay(embeddedProbeIntervalMs)
    }
    return `did not answer for ${embeddedStartMsMax} ms`
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Calls back once if the service ends without having been asked to. */
  async reportUnexpectedExit(callback: (exit: ServiceExit) => void): Promise<void> {
    const exit = await this.#exited
    if (!this.#stopping) callback(exit)
  }

  /** Resolves when the process is gone; can be called again. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const signal of this.#plan.stopSignals) {
      if (this.hasExited) return
      this.#child.kill(signal)
      const waiting = new AbortController()
      const late = delay(embeddedStopMsMax, undefined, { signal: waiting.signal }).catch(() => undefined)
      await Promise.race([this.#exited, late])
      waiting.abort()
    }
    await this.#exited // the last signal is SIGKILL
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}
