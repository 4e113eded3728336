import type { SaleTerms } from '../decisions.ts'
import { Fault } from '../faults.ts'
import { msPerSecond } from '../time.ts'

/** What Redis lists of a sale. */
export interface ListedSale {
  readonly terms: SaleTerms
  /** When Redis drops the sale's keys, ms since the epoch: it may list the sale a while longer. */
  readonly expiresAtMs: number
}

/**
 * The layout is functions/shared.lua's: opens_ms, closes_ms, items, limit, hold_ms and expire_at_s with commas between; in a
 * sale of several shards their number goes before the last.
 * @throws Fault HC_REDIS_REFUSED when the terms are none
 */
export function decodeSaleField(sale: number, field: Buffer | string): ListedSale {
  const numbers = String(field).split(',').map(Number)
  const [opensAtMs, closesAtMs, items, userLimit, holdMs] = numbers
  const shards = numbers.length > 6 ? numbers[5] : 1
  const terms = { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards } as SaleTerms
  const isWhole = [opensAtMs, closesAtMs, items, userLimit, holdMs, shards].every((number) =>
    Number.isSafeInteger(number),
  )
  if (!isWhole || terms.closesAtMs <= terms.opensAtMs || terms.shards < 1)
    throw new Fault('HC_REDIS_REFUSED', `sale ${sale} is listed as ${String(field)}`)
  return { terms, expiresAtMs: Number(numbers.at(-1)) * msPerSecond }
}
