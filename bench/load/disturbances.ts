import type { Disturbance } from '../report/report.ts'
import type { Settings } from './settings.ts'

/** What can be done to a server of our own while it is loaded. */
export interface Disturbed {
  /** Has the HTTP workers replaced, as `npm run reload` does. Whether that succeeded. */
  reload(): Promise<boolean>
  /** By SIGKILL, which it can't see coming. */
  killPersister(): void
}

export interface DisturbancesOptions {
  readonly server: Disturbed
  readonly settings: Pick<Settings, 'reloadAt' | 'persisterKillAt' | 'seconds'>
  /** Before processes go. */
  readonly before: () => void
}

/** What operators and accidents do to a server in the middle of a sale, at fixed moments of a run. */
export class Disturbances {
  readonly #options: DisturbancesOptions
  readonly #done: Promise<Disturbance>[] = []
  #timers: NodeJS.Timeout[] = []

  constructor(options: DisturbancesOptions) {
    this.#options = options
  }

  /** The measurement begins. */
  start(): void {
    const { server, settings } = this.#options
    const kill = (): Promise<boolean> => {
      server.killPersister()
      return Promise.resolve(true)
    }
    this.#plan('reload', settings.reloadAt, () => server.reload())
    this.#plan('persister killed', settings.persisterKillAt, kill)
  }

  /** Nothing more is done. Resolves when what was begun has its end. */
  async end(): Promise<Disturbance[]> {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
    return await Promise.all(this.#done)
  }

  #plan(what: Disturbance['what'], share: number, act: () => Promise<boolean>): void {
    if (share === 0) return
    const second = share * this.#options.settings.seconds
    this.#timers.push(setTimeout(() => this.#done.push(this.#disturb(what, second, act)), second * 1_000))
  }

  async #disturb(what: Disturbance['what'], second: number, act: () => Promise<boolean>): Promise<Disturbance> {
    this.#options.before()
    const startedMs = performance.now()
    const succeeded = await act()
    return { what, second, seconds: (performance.now() - startedMs) / 1_000, succeeded }
  }
}
