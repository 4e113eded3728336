import { setTimeout as delay } from 'node:timers/promises'

import type { Config } from '../../core/config/load.ts'
import { Fault } from '../../core/faults.ts'
import { reloadPollMs, reloadSettleMsMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { reloadable } from './reloadable.ts'
import type { Supervisor } from './supervisor.ts'

export type ReloadResult = 'done' | 'failed'

export interface RollingReloadOptions {
  readonly supervisor: Pick<Supervisor, 'count' | 'ready' | 'staying' | 'supersede' | 'reconfigure'>
  /** What is in force, with the connections of embedded services. */
  readonly config: Config
  /** The settings as they stand now. @throws Fault HC_CONFIG */
  readonly readConfig: () => Config
  readonly log: Log
  /** Aborted when the server stops. */
  readonly signal: AbortSignal
  readonly onEnd: (result: ReloadResult) => void
}

/**
 * Replaces the HTTP workers one by one by new processes, with the code and the settings of now. A worker leaves only when
 * its successor is ready, so that the port is always served; the first successor that fails ends the reload, and the
 * other old workers go on.
 */
export class RollingReload {
  readonly #options: RollingReloadOptions
  #config: Config
  #isRunning = false
  /** Asked for again while one ran, which had read the settings already. */
  #isWanted = false

  constructor(options: RollingReloadOptions) {
    this.#options = options
    this.#config = options.config
  }

  /** Begins a reload, or has another one follow the one that runs. */
  request(): void {
    this.#isWanted = true
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    const { signal, onEnd } = this.#options
    this.#isRunning = true
    while (this.#isWanted && !signal.aborted) {
      this.#isWanted = false
      onEnd(await this.#reload())
    }
    this.#isRunning = false
  }

  async #reload(): Promise<ReloadResult> {
    const { supervisor, log, signal } = this.#options
    const startedMs = performance.now()
    const before = this.#config
    const starting = await this.#stillStarting()
    if (starting > 0) {
      // With the settings of before, and for as long as Redis is away: neither to be replaced nor to be waited for.
      log.error({ starting }, 'not reloaded, everything stays as it is: HTTP workers are still starting')
      return 'failed'
    }
    try {
      this.#config = this.#readSettings()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#sayKept(error)
      return 'failed'
    }
    supervisor.reconfigure(this.#config)
    const workers = supervisor.ready('http')
    log.info({ workers: workers.length }, 'reloading: the HTTP workers are replaced one by one')
    let replaced = 0
    for (const worker of workers) {
      if (signal.aborted) return 'failed'
      if (!(await supervisor.supersede(worker))) {
        this.#config = before
        supervisor.reconfigure(before)
        const what = 'the reload ends, the other old workers go on: a new HTTP worker did not become ready'
        log.error({ replaced, workers: workers.length }, what)
        return 'failed'
      }
      replaced += 1
    }
    log.info({ replaced, tookMs: Math.round(performance.now() - startedMs) }, 'reloaded')
    return 'done'
  }

  /** A worker that took the place of a dead one is mostly ready at once. */
  async #stillStarting(): Promise<number> {
    const { supervisor, signal } = this.#options
    const deadlineMs = performance.now() + reloadSettleMsMax
    for (;;) {
      const starting = supervisor.count('http', 'starting')
      const waits = supervisor.staying('http').some(({ waitsFor }) => waitsFor !== undefined)
      if (starting === 0 || waits || signal.aborted || performance.now() > deadlineMs) return starting
      await delay(reloadPollMs, undefined, { signal }).catch(() => undefined) // stopped
    }
  }

  #readSettings(): Config {
    const { config, kept } = reloadable(this.#config, this.#options.readConfig())
    if (kept.length > 0) {
      this.#options.log.warn({ settings: kept }, 'these settings have changed; they take effect at the next start')
    }
    return config
  }

  #sayKept({ code, message }: Fault): void {
    this.#options.log.error({ code }, `not reloaded, everything stays as it is: ${message}`)
  }
}
