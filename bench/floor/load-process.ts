// The generator, in a process of its own: one autocannon run, whose parameters come as the first message and whose
// result goes back as the only one.

import autocannon from 'autocannon'

export interface LoadOrder {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly sale: number
  /** The items of the stock, of which this run takes its own share: see `itemAt`. */
  readonly items: number
  readonly firstItem: number
  readonly users: number
  /** Requests prepared for each connection; a run that is quicker than this starts over with the first. */
  readonly requestsPerConnection: number
}

export interface LoadResult {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly ok: number
  readonly notOk: number
  readonly errors: number
  readonly timeouts: number
  readonly itemsOffered: number
  readonly cpuSeconds: number
}

/** Coprime to every stock that has no factor 7: walks all items in a scattered order, none twice. */
const stride = 5_764_801

/** The n-th item of the walk through the stock, from 1. */
export function itemAt(n: number, items: number): number {
  return ((n * stride) % items) + 1
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const before = process.cpuUsage()
  let next = order.firstItem
  const result = await autocannon({
    url: order.url,
    connections: order.connections,
    duration: order.seconds,
    pipelining: 1,
    // Requests are prepared once: building one for each send would make the generator the bottleneck.
    setupClient: (client) => {
      const requests = Array.from({ length: order.requestsPerConnection }, () => {
        const user = Math.floor(Math.random() * order.users)
        const path = `/checkout?user_id=user-${user}&id=${order.sale}-${itemAt(next++, order.items)}`
        return { method: 'POST' as const, path }
      })
      client.setRequests(requests)
    },
  })
  const { user, system } = process.cpuUsage(before)
  return {
    requestsPerSecond: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    ok: result['2xx'],
    notOk: result.non2xx,
    errors: result.errors,
    timeouts: result.timeouts,
    itemsOffered: next - order.firstItem,
    cpuSeconds: (user + system) / 1e6,
  }
}

async function serve(order: LoadOrder): Promise<void> {
  process.send?.(await run(order))
  process.disconnect()
}

process.once('message', (order: LoadOrder) => void serve(order))
