import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { saleCheckMsMax, saleOpenRetryMs } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import type { ListedSale } from '../../../core/redis/sale-field.ts'
import type { SaleStore } from '../../../core/redis/sale-store.ts'
import { firstShard } from '../../../core/shards.ts'
import type { RedisClock } from './redis-clock.ts'
import type { SaleDirectory } from './sale-directory.ts'
import { msUntilDue, openAheadMs, type SaleSettings, saleAt, salesDue, termsBySettings } from './sales.ts'

/** What it needs of a shard. */
export interface RotationShard {
  readonly number: number
  readonly store: Pick<SaleStore, 'openSale' | 'saleState' | 'isUp'>
  readonly clock: Pick<RedisClock, 'observe'>
}

export interface SaleRotationOptions {
  /** By their numbers. */
  readonly shards: readonly RotationShard[]
  readonly clock: Pick<RedisClock, 'now'>
  readonly directory: Pick<SaleDirectory, 'opened' | 'past'>
  readonly settings: SaleSettings
  readonly log: Log
}

/** A sale that some shard lists. */
interface KnownSale extends ListedSale {
  /** The shards that are known to list it. */
  readonly openAt: Set<number>
}

/**
 * Opens each sale in time, at all of its shards. Every worker does it, without a leader: opening is idempotent, and the terms
 * of whoever came first to the first shard hold for all. The other shards get what that one lists. One that is away gets it
 * later, and keeps no other from it.
 */
export class SaleRotation {
  readonly #options: SaleRotationOptions
  readonly #aheadMs: number
  /** Those that are due, of which some shard is known to list them. */
  readonly #known = new Map<number, KnownSale>()
  #timer: NodeJS.Timeout | undefined
  #isOpening = false
  #isStopped = false
  /** Where the last attempt has failed. */
  readonly #failing = new Set<number>()
  #hasWarned = false

  constructor(options: SaleRotationOptions) {
    this.#options = options
    this.#aheadMs = openAheadMs(options.settings)
  }

  /** The number of the current sale; `undefined` before Redis has told the time. */
  get current(): number | undefined {
    const nowMs = this.#options.clock.now()
    return nowMs === undefined ? undefined : saleAt(nowMs, this.#options.settings.intervalMs)
  }

  /** Whether the shard has its part of the current sale, or has none in it. */
  isOpenAt(shard: number): boolean {
    const { current } = this
    const known = current === undefined ? undefined : this.#known.get(current)
    return known !== undefined && (shard >= known.terms.shards || known.openAt.has(shard))
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

  /** The shard does not list the sale: it is opened there at once if it should be open. */
  reopen(sale: number, shard: number): void {
    const known = this.#known.get(sale)
    if (known?.openAt.delete(shard) !== true || this.#isStopped) return
    // Nobody else holds on to its terms.
    if (known.openAt.size === 0) this.#forget(sale)
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
    const { clock, settings } = this.#options
    const untilDueMs = msUntilDue(clock.now() ?? 0, settings.intervalMs, this.#aheadMs)
    const waitMs = isDone ? Math.min(untilDueMs, saleCheckMsMax) : saleOpenRetryMs
    this.#timer = setTimeout(() => void this.#openDue(), Math.ceil(waitMs))
  }

  async #openAllDue(): Promise<boolean> {
    const failed = new Set<number>()
    // Looked for anew after each one: it may be late by now, or one may have been found missing again.
    for (let sale = this.#missing(failed); sale !== undefined; sale = this.#missing(failed)) {
      const known = this.#known.get(sale) ?? (await this.#openFirst(sale, failed))
      if (known === undefined) break
      await Promise.all(this.#lacking(known, failed).map((shard) => this.#openAt(shard, known, failed)))
    }
    for (const shard of this.#failing) if (!failed.has(shard)) this.#failing.delete(shard)
    return failed.size === 0
  }

  /** The first sale that is due and lacks a shard that may be tried. */
  #missing(failed: ReadonlySet<number>): number | undefined {
    const { clock, settings } = this.#options
    const nowMs = clock.now()
    if (nowMs === undefined || this.#isStopped) return undefined
    const { first, last } = salesDue(nowMs, settings.intervalMs, this.#aheadMs)
    for (const sale of this.#known.keys()) if (sale < first) this.#forget(sale)
    for (let sale = first; sale <= last; sale++) {
      const known = this.#known.get(sale)
      if (known === undefined || this.#lacking(known, failed).length > 0) return sale
    }
    return undefined
  }

  #forget(sale: number): void {
    this.#known.delete(sale)
    this.#options.directory.past(sale)
  }

  /** The shards of the sale that don't have it yet. */
  #lacking({ terms, openAt }: KnownSale, failed: ReadonlySet<number>): RotationShard[] {
    return this.#options.shards.filter(({ number }) => {
      return number < terms.shards && !openAt.has(number) && !failed.has(number)
    })
  }

  /** By the settings at the first shard; while that is away, as another one lists it. `undefined`: no shard knows it. */
  async #openFirst(sale: number, failed: Set<number>): Promise<KnownSale | undefined> {
    const wanted = termsBySettings(sale, this.#options.settings)
    for (const shard of this.#options.shards) {
      if (failed.has(shard.number)) continue
      try {
        // The first one says what holds; it alone may be given what nobody lists yet.
        const terms = shard.number === firstShard ? wanted : await listedTerms(shard, sale)
        if (terms === undefined) continue
        const known = { ...(await this.#openThere(shard, terms)), openAt: new Set([shard.number]) }
        this.#known.set(sale, known)
        this.#options.directory.opened(sale, known.terms.shards)
        this.#compare(known.terms, wanted)
        return known
      } catch (error) {
        this.#failedAt(shard, error, failed)
      }
    }
    return undefined
  }

  /** As it is listed elsewhere. */
  async #openAt(shard: RotationShard, known: KnownSale, failed: Set<number>): Promise<void> {
    try {
      const { terms } = await this.#openThere(shard, known.terms, known.expiresAtMs)
      if (differs(terms, known.terms)) {
        const listed = { shard: shard.number, listed: terms, elsewhere: known.terms }
        this.#options.log.error(
          listed,
          `sale ${terms.sale} is listed with different terms: its items can't be told apart`,
        )
      }
      known.openAt.add(shard.number)
    } catch (error) {
      this.#failedAt(shard, error, failed)
    }
  }

  async #openThere(
    { number, store, clock }: RotationShard,
    terms: SaleTerms,
    expiresAtMs?: number,
  ): Promise<ListedSale> {
    const { settings, shards, log } = this.#options
    if (!store.isUp) throw new Fault('HC_REDIS_UNAVAILABLE', 'no connection')
    const { opened, nowMs, ...listed } = await store.openSale(terms, settings.ttlSeconds, expiresAtMs)
    clock.observe(nowMs)
    const where = shards.length > 1 ? { shard: number } : {}
    if (opened) log.info({ ...where, ...listed.terms }, `sale ${terms.sale} is open in Redis`)
    return listed
  }

  /** @throws what is no Fault */
  #failedAt({ number }: RotationShard, error: unknown, failed: Set<number>): void {
    if (!(error instanceof Fault)) throw error
    const { code, message } = error
    failed.add(number)
    if (this.#failing.has(number)) return
    this.#failing.add(number)
    const where = this.#options.shards.length > 1 ? { shard: number } : {}
    this.#options.log.warn({ ...where, code, reason: message }, 'a sale could not be opened; trying on')
  }

  #compare(terms: SaleTerms, wanted: SaleTerms): void {
    if (this.#hasWarned || !differs(terms, wanted)) return
    this.#hasWarned = true
    const both = { inForce: terms, bySettings: wanted }
    this.#options.log.warn(both, `sale ${terms.sale} was opened with other settings, which hold`)
  }
}

async function listedTerms({ store }: RotationShard, sale: number): Promise<SaleTerms | undefined> {
  const state = store.isUp ? await store.saleState(sale) : undefined
  if (state === undefined) return undefined
  const { opensAtMs, closesAtMs, items, userLimit, holdMs, shards } = state
  return { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards }
}

function differs(a: SaleTerms, b: SaleTerms): boolean {
  return (Object.keys(a) as (keyof SaleTerms)[]).some((key) => a[key] !== b[key])
}
