import type { Config } from '../../../core/config/load.ts'
import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { saleCheckMsMax, saleOpenAheadMs, saleOpenRetryMs } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import type { SaleStore } from '../../../core/redis/sale-store.ts'
import type { RedisClock } from './redis-clock.ts'

export interface SaleSettings {
  readonly intervalMs: number
  readonly items: number
  readonly userLimit: number
  readonly holdMs: number
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
}

/** The sale of that moment: every server computes the same. */
export function saleAt(nowMs: number, intervalMs: number): number {
  return Math.floor(nowMs / intervalMs)
}

export function saleSettings({ app, redis }: Config): SaleSettings {
  return {
    intervalMs: app.saleIntervalSeconds * 1_000,
    items: app.itemNumber,
    userLimit: app.userLimit,
    holdMs: app.holdSeconds * 1_000,
    ttlSeconds: redis.ttlHours * 3_600,
  }
}

/** The terms that these settings give the sale. */
export function termsBySettings(sale: number, settings: SaleSettings): SaleTerms {
  const { intervalMs, items, userLimit, holdMs } = settings
  return { sale, opensAtMs: sale * intervalMs, closesAtMs: (sale + 1) * intervalMs, items, userLimit, holdMs }
}

/**
 * The sales that have to be open in Redis at that moment, first and last: the current one and all that begin within
 * `saleOpenAheadMs`. With intervals shorter than that these are several.
 */
export function salesDue(nowMs: number, intervalMs: number): { first: number; last: number } {
  return { first: saleAt(nowMs, intervalMs), last: saleAt(nowMs + saleOpenAheadMs, intervalMs) }
}

/** How long from that moment until one more sale is due. */
export function msUntilDue(nowMs: number, intervalMs: number): number {
  const { last } = salesDue(nowMs, intervalMs)
  return (last + 1) * intervalMs - saleOpenAheadMs - nowMs
}

export interface SaleRotationOptions {
  readonly shard: { readonly store: Pick<SaleStore, 'openSale'>; readonly clock: RedisClock }
  readonly settings: SaleSettings
  readonly log: Log
}

/**
 * Opens each sale in time. Every worker does it, without a leader: opening is idempotent, and the terms of whoever came
 * first hold for all.
 */
export class SaleRotation {
  readonly #store: Pick<SaleStore, 'openSale'>
  readonly #clock: RedisClock
  readonly #settings: SaleSettings
  readonly #log: Log
  /** Sales known to be open in Redis. */
  readonly #opened = new Map<number, SaleTerms>()
  #timer: NodeJS.Timeout | undefined
  #isOpening = false
  #isStopped = false
  #hasFailed = false
  #hasWarned = false

  constructor({ shard, settings, log }: SaleRotationOptions) {
    this.#store = shard.store
    this.#clock = shard.clock
    this.#settings = settings
    this.#log = log
  }

  /** The number of the current sale; `undefined` before Redis has told the time. */
  get current(): number | undefined {
    const nowMs = this.#clock.now()
    return nowMs === undefined ? undefined : saleAt(nowMs, this.#settings.intervalMs)
  }

  /** The terms in force of the current sale; `undefined` when it is not known to be open. */
  get terms(): SaleTerms | undefined {
    const { current } = this
    return current === undefined ? undefined : this.#opened.get(current)
  }

  /**
   * Opens what is due now, and then goes on by itself. Resolves after the first attempt, whether it succeeded or not;
   * a failed one is repeated. Needs the clock to have been set.
   */
  async start(): Promise<void> {
    await this.#openDue()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  /** Redis does not list the sale: it is opened at once if it should be open. */
  reopen(sale: number): void {
    if (!this.#opened.delete(sale) || this.#isStopped) return
    clearTimeout(this.#timer)
    void this.#openDue()
  }

  /** Never rejects for a Fault. */
  async #openDue(): Promise<void> {
    if (this.#isOpening) return
    this.#isOpening = true
    const isDone = await this.#openAllDue()
    this.#isOpening = false
    if (this.#isStopped) return
    const nowMs = this.#clock.now() ?? 0
    const waitMs = isDone ? Math.min(msUntilDue(nowMs, this.#settings.intervalMs), saleCheckMsMax) : saleOpenRetryMs
    this.#timer = setTimeout(() => void this.#openDue(), Math.ceil(waitMs))
  }

  async #openAllDue(): Promise<boolean> {
    try {
      // Looked for anew after each one: it may be late by now, or one may have been found missing again.
      for (let sale = this.#missing(); sale !== undefined; sale = this.#missing()) await this.#open(sale)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { code, message } = error
      if (!this.#hasFailed) this.#log.warn({ code, reason: message }, 'a sale could not be opened; trying on')
      this.#hasFailed = true
      return false
    }
    this.#hasFailed = false
    return true
  }

  /** The first sale that is due and not open. */
  #missing(): number | undefined {
    const nowMs = this.#clock.now()
    if (nowMs === undefined || this.#isStopped) return undefined
    const { first, last } = salesDue(nowMs, this.#settings.intervalMs)
    for (const sale of this.#opened.keys()) if (sale < first) this.#opened.delete(sale)
    for (let sale = first; sale <= last; sale++) if (!this.#opened.has(sale)) return sale
    return undefined
  }

  async #open(sale: number): Promise<void> {
    const wanted = termsBySettings(sale, this.#settings)
    const { terms, opened, nowMs } = await this.#store.openSale(wanted, this.#settings.ttlSeconds)
    this.#clock.observe(nowMs)
    this.#opened.set(sale, terms)
    if (opened) this.#log.info({ ...terms }, `sale ${sale} is open in Redis`)
    else if (!this.#hasWarned && differs(terms, wanted)) {
      this.#hasWarned = true
      this.#log.warn({ inForce: terms, bySettings: wanted }, `sale ${sale} was opened with other settings, which hold`)
    }
  }
}

function differs(a: SaleTerms, b: SaleTerms): boolean {
  return (Object.keys(a) as (keyof SaleTerms)[]).some((key) => a[key] !== b[key])
}
