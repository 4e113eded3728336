import { setTimeout as delay } from 'node:timers/promises'

import { Fault, type FaultCode } from '../../core/faults.ts'
import { sharedSettingLeaseMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { type KeptSetting, keptSetting } from '../../core/redis/kept-setting.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { whenAvailable } from './dependencies.ts'
import type { Shutdown } from './shutdown.ts'

/** A setting by which all servers open their sales. */
export interface SharedSettingOptions {
  readonly store: SaleStore
  readonly name: KeptSetting
  readonly value: number
  /** The variable, and its value as it has it. */
  readonly env: string
  readonly shown: (value: number) => number
  /** What it is when another server keeps another value. */
  readonly fault: Extract<FaultCode, 'HC_SALE_INTERVAL' | 'HC_SHARDS'>
  /** Rejects with `fault` for another reason to wait. */
  readonly alsoWaits?: () => Promise<void>
  /** For "waiting for ...". */
  readonly others: string
  readonly log: Log
  readonly shutdown: Shutdown
}

/**
 * All servers on one Redis open their sales alike, or each would sell sales of its own. A server keeps its value in Redis while
 * it runs, for some seconds at a time: so another one can be taken once all servers are stopped.
 */
export class SharedSetting {
  readonly #options: SharedSettingOptions
  readonly #stopping = new AbortController()

  constructor(options: SharedSettingOptions) {
    this.#options = options
  }

  /** Waits for servers with another value to stop, and keeps none yet. @throws Fault; the reason of the shutdown's signal */
  async untilFree(): Promise<void> {
    const { store, name } = this.#options
    await this.#patiently(async () => this.#assertSame(await keptSetting(store, name)))
  }

  /** The same, and then keeps this one until the shutdown. @throws Fault; the reason of the shutdown's signal */
  async open(): Promise<void> {
    const { shutdown, env, shown, value } = this.#options
    await this.#patiently(() => this.keep())
    this.run().catch((error: unknown) => shutdown.onFault(error))
    shutdown.opened({
      name: `the lease on ${env}=${shown(value)}`,
      close: () => {
        this.#stopping.abort()
        return Promise.resolve([])
      },
    })
  }

  /** @throws Fault while another server keeps another one */
  async keep(): Promise<void> {
    const { store, name, value } = this.#options
    this.#assertSame(await store.keep(name, value, sharedSettingLeaseMs))
  }

  #assertSame(kept: number | undefined): void {
    const { value, env, shown, fault } = this.#options
    if (kept === undefined || kept === value) return
    const what = `a server on this Redis runs with ${env}=${shown(kept)}, this one with ${shown(value)}`
    const fix = `Set the same, or stop all servers: ${sharedSettingLeaseMs / 1_000} s later another one can be taken`
    throw new Fault(fault, `${what}. ${fix}`)
  }

  async #patiently(attempt: () => Promise<void>): Promise<void> {
    const { log, shutdown, others: what, fault: unavailable } = this.#options
    const patience = { log, signal: shutdown.signal }
    const redis = { what: 'Redis', unavailable: 'HC_REDIS_UNAVAILABLE', ...patience } as const
    const look = async (): Promise<void> => {
      await this.#options.alsoWaits?.()
      await attempt()
    }
    await whenAvailable(() => whenAvailable(look, redis), { what, unavailable, ...patience })
  }

  /** Goes on keeping it until `stop()`. Never rejects for a Fault. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    const { fault, log } = this.#options
    let isSaid = false
    while (!signal.aborted) {
      await delay(sharedSettingLeaseMs / 3, undefined, { signal }).catch(() => undefined) // stopped
      if (signal.aborted) return
      try {
        await this.keep()
        isSaid = false
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        // Where Redis is away everybody says so already.
        if (error.code === fault && !isSaid) log.error({ code: error.code }, error.message)
        isSaid ||= error.code === fault
      }
    }
  }
}
