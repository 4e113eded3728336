import { startServer } from '../harness/server-under-test.ts'
import type { FloorRates } from '../report/report.ts'
import { ratesOf, sellOutOf } from '../report/sell-out.ts'
import { type LoadOptions, load } from './run.ts'
import { askSale } from './server-view.ts'
import type { Settings } from './settings.ts'

/** The handler needs a half to two thirds of the time that hotcakes does. */
const shareOfSeconds = 0.5

/** Of a run's settings: the same buyers, and nothing beside them. */
export function floorSettings(settings: Settings): Settings {
  return { ...settings, seconds: Math.ceil(shareOfSeconds * settings.seconds), reads: 0, viewers: 0 }
}

/**
 * Lets buyers loose on a bare handler. @param options.settings of `floorSettings`
 * @returns what they reached; `undefined`: its stock did not go in that time
 */
export async function sellOutFloor(options: Omit<LoadOptions, 'target'>): Promise<FloorRates | undefined> {
  const server = await startServer('../load/sell-out-floor-server.js', [String(options.settings.items)])
  try {
    const { loaded, crewResult } = await load({ ...options, target: { url: server.url, pid: server.pid } })
    const { lastPurchase } = crewResult
    const soldOut = sellOutOf({ sale: await askSale(server.url), lastPurchase, timeline: loaded.timeline })
    return soldOut && ratesOf(soldOut)
  } finally {
    await server.stop()
  }
}
