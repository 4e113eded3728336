import { Wrk, type WrkOrder } from './wrk.ts'

/** What a server can do in the form of the flood, with nobody else there. */
export interface Demand {
  /** Connections a second, each with its request, by more clients than are needed to keep it busy. */
  readonly capacity: number
  /** ms until a lone client has its answer. */
  readonly aloneMs: number
}

export type Probe = Pick<WrkOrder, 'clients' | 'seconds'>

/** Before the flood: how much of it the server could serve. */
export async function demandOf(
  order: Omit<WrkOrder, 'clients' | 'seconds'>,
  probe: Probe,
  stop: AbortSignal,
): Promise<Demand> {
  const alone = await probed({ ...order, clients: 1, seconds: 1 }, stop)
  const after = order.after + alone.answers
  const many = await probed({ ...order, after, ...probe }, stop)
  return { capacity: many.answers / many.seconds, aloneMs: alone.p50Ms }
}

async function probed(order: WrkOrder, stop: AbortSignal) {
  const wrk = new Wrk(order)
  const end = (): void => wrk.stop()
  stop.addEventListener('abort', end)
  try {
    return await wrk.result()
  } finally {
    stop.removeEventListener('abort', end)
  }
}

/** How often the clients would connect if each was answered as a lone one is, in multiples of what the server can serve. */
export function timesCapacity({ capacity, aloneMs }: Demand, clients: number): number {
  return (clients * 1_000) / aloneMs / capacity
}
