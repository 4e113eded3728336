import type { Config } from '../../../core/config/load.ts'
import type { SaleTerms } from '../../../core/decisions.ts'
import { saleOpenAheadMs, saleOpenAheadSeveralMsMax } from '../../../core/limits.ts'

export interface SaleSettings {
  readonly intervalMs: number
  readonly items: number
  readonly userLimit: number
  readonly holdMs: number
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  /** Over how many shards a sale is spread. */
  readonly shards: number
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
    shards: app.shards,
  }
}

/** The terms that these settings give the sale. */
export function termsBySettings(sale: number, settings: SaleSettings): SaleTerms {
  const { intervalMs, items, userLimit, holdMs, shards } = settings
  return {
    sale,
    opensAtMs: sale * intervalMs,
    closesAtMs: (sale + 1) * intervalMs,
    items,
    userLimit,
    holdMs,
    shards,
  }
}

/** How long before its boundary a sale is opened. */
export function openAheadMs({ intervalMs, shards }: Pick<SaleSettings, 'intervalMs' | 'shards'>): number {
  if (shards === 1) return saleOpenAheadMs
  return Math.max(saleOpenAheadMs, Math.min(intervalMs / 2, saleOpenAheadSeveralMsMax))
}

/**
 * The sales that have to be open in Redis at that moment, first and last: the current one and all that begin within
 * `aheadMs`. With intervals shorter than that these are several.
 */
export function salesDue(nowMs: number, intervalMs: number, aheadMs: number): { first: number; last: number } {
  return { first: saleAt(nowMs, intervalMs), last: saleAt(nowMs + aheadMs, intervalMs) }
}

/** How long from that moment until one more sale is due. */
export function msUntilDue(nowMs: number, intervalMs: number, aheadMs: number): number {
  const { last } = salesDue(nowMs, intervalMs, aheadMs)
  return (last + 1) * intervalMs - aheadMs - nowMs
}
