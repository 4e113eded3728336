import type { FloorRates, SaleCounts, SellOut, Timeline } from './report.ts'

export interface SellOutSource {
  /** After the load; `undefined`: the server did not say. */
  readonly sale: SaleCounts | undefined
  /** When, since the measurement's start, and how many answers there were by then. */
  readonly lastPurchase: { readonly second: number; readonly answers: number } | undefined
  readonly timeline: Timeline
  readonly floor?: FloorRates | undefined
}

/** `undefined`: the stock did not go in the measurement. */
export function sellOutOf({ sale, lastPurchase, timeline, floor }: SellOutSource): SellOut | undefined {
  if (sale === undefined || sale.sold < sale.items || lastPurchase === undefined || lastPurchase.second < 0)
    return undefined
  const storm = timeline.rejected.slice(Math.ceil(lastPurchase.second))
  return {
    lastPurchaseSecond: lastPurchase.second,
    answersUntil: lastPurchase.answers,
    ...(storm.length > 0 && { stormPerSecond: storm.reduce((sum, each) => sum + each, 0) / storm.length }),
    ...(floor && { floor }),
  }
}

/** Answers a second from the first request to the last purchase, and after it. */
export function ratesOf({ lastPurchaseSecond, answersUntil, stormPerSecond }: SellOut): FloorRates {
  return {
    sellingPerSecond: answersUntil / Math.max(lastPurchaseSecond, 1e-3),
    ...(stormPerSecond !== undefined && { stormPerSecond }),
  }
}
