import type { Use } from '../floor/candidate.ts'
import { costOf, type Measured } from '../floor/rounds.ts'
import { type Requests, runWrk } from '../floor/wrk.ts'
import { type FullSale, fill, giveBack, type Ranges, rangesOf, removeIdleBuyers } from './full-sale.ts'
import { patienceSeconds, Stage } from './stage.ts'

export interface LoadPlan {
  readonly rounds: number
  readonly seconds: number
  /** 0: none. */
  readonly warmUpSeconds: number
  readonly connections: number
  /** Told apart by one number alone; all others are compared with the first. */
  readonly sales: readonly (FullSale & { readonly name: string })[]
}

/** What a load asks for, and how all of it has to be decided: another share would be another load. */
export interface LoadKind {
  readonly name: string
  readonly requests: Requests
  readonly range: keyof Ranges
  /** Outcome -> share of the answers. */
  readonly expected: Readonly<Record<string, number>>
}

export const loadKinds: readonly LoadKind[] = [
  { name: 'taken and given back', requests: 'returned', range: 'free', expected: { held: 0.5, released: 0.5 } },
  { name: 'items of others', requests: 'sold', range: 'held', expected: { item_held: 1 } },
  { name: 'sold items', requests: 'sold', range: 'sold', expected: { item_sold: 1 } },
]

/** One load of one sale. */
export interface GrowthLoad extends Measured {
  /** Outcome -> share of all that was asked. */
  readonly decided: ReadonlyMap<string, number>
}

export interface LoadResult {
  /** Kind -> name of a sale -> its loads, one a round. */
  readonly loads: ReadonlyMap<string, ReadonlyMap<string, readonly GrowthLoad[]>>
  /** Name of a sale -> whether its record was right. */
  readonly audits: ReadonlyMap<string, boolean>
}

/** The audit reads all buyers of a sale at once, into some hundreds of bytes each. */
const auditedBuyersMax = 1_000_000
/** A walk through the sold items tells the worker of each: it takes no longer at once than this. */
const walkSecondsMax = 10
/** A load in which the server stood still for most of the time may lack one of the decisions. */
const triesMax = 5

interface Running {
  readonly stage: Stage
  readonly sale: FullSale & { readonly name: string }
}

export async function measureLoads(
  plan: LoadPlan,
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<LoadResult> {
  const running: Running[] = []
  try {
    for (const sale of plan.sales) {
      const stage = await Stage.open(sale, signal)
      running.push({ stage, sale })
      await fill(stage, sale, signal)
      await walkSold(stage, { plan, sale, signal })
      say(`${sale.name}: filled\n`)
    }
    const loads = await loadInTurn(plan, running, { signal, say })
    const audits = new Map<string, boolean>()
    for (const { stage, sale } of running) {
      if (sale.buyers > auditedBuyersMax) await removeIdleBuyers(stage, signal)
      audits.set(sale.name, await stage.server.audit(signal))
      say(`${sale.name}: audited\n`)
    }
    return { loads, audits }
  } finally {
    await Promise.all(running.map(({ stage }) => stage.close()))
  }
}

/** A worker that has seen an item sold doesn't have it looked at again: a small sale would be known after a moment, a large never. */
async function walkSold(
  stage: Stage,
  { plan, sale, signal }: { plan: LoadPlan; sale: FullSale; signal: AbortSignal },
): Promise<void> {
  const items = rangesOf(sale.items).sold.count
  for (let first = 0; first < items; ) {
    const { asked } = await runWrk({
      ...orderOf({ stage, plan, sale, signal }),
      requests: 'fresh',
      seconds: Math.min(plan.seconds, walkSecondsMax),
      items,
      first,
      seed: 1,
    })
    // The last of each connection may be without an answer.
    first += Math.max(1, asked - plan.connections)
  }
  await stage.drained()
}

function orderOf(of: { stage: Stage; plan: LoadPlan; sale: FullSale; signal: AbortSignal }) {
  const { stage, plan, sale, signal } = of
  return {
    url: stage.server.url,
    connections: plan.connections,
    sale: stage.sale,
    users: sale.buyers,
    patienceSeconds,
    signal,
  }
}

async function loadInTurn(
  plan: LoadPlan,
  running: readonly Running[],
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<Map<string, Map<string, GrowthLoad[]>>> {
  const none = (): Map<string, GrowthLoad[]> => new Map(plan.sales.map(({ name }) => [name, []]))
  const loads = new Map(loadKinds.map(({ name }) => [name, none()]))
  for (let round = plan.warmUpSeconds === 0 ? 1 : 0; round <= plan.rounds; round++) {
    for (const kind of loadKinds) {
      for (let at = 0; at < running.length; at++) {
        signal.throwIfAborted()
        // Each round begins with another one: a machine that slows down slows all.
        const { stage, sale } = running[(at + round) % running.length] as Running
        const seconds = round === 0 ? plan.warmUpSeconds : plan.seconds
        const load = await loadUntilDecided(kind, { stage, plan, sale, signal, seconds, round })
        if (round > 0) loads.get(kind.name)?.get(sale.name)?.push(load)
      }
      const rates = [...(loads.get(kind.name) ?? [])].map(
        ([name, all]) => `${name} ${Math.round(all.at(-1)?.answersPerSecond ?? 0)}/s`,
      )
      say(`${kind.name}, ${round === 0 ? 'warmed up' : `round ${round}/${plan.rounds}: ${rates.join(', ')}`}\n`)
    }
  }
  return loads
}

interface LoadOrder {
  readonly stage: Stage
  readonly plan: LoadPlan
  readonly sale: FullSale
  readonly signal: AbortSignal
  readonly seconds: number
  readonly round: number
}

/** Again, until everything that is expected was decided. */
async function loadUntilDecided(kind: LoadKind, of: LoadOrder): Promise<GrowthLoad> {
  for (let tries = 1; ; tries++) {
    const load = await loadOnce(kind, of)
    const isComplete = Object.keys(kind.expected).every((outcome) => load.decided.has(outcome))
    if ((load.answers > 0 && isComplete) || tries === triesMax) return load
  }
}

async function loadOnce(kind: LoadKind, of: LoadOrder): Promise<GrowthLoad> {
  const { stage, seconds, round, signal } = of
  const { first, count } = rangesOf(of.sale.items)[kind.range]
  const before = await stage.server.used()
  const result = await runWrk({
    ...orderOf(of),
    requests: kind.requests,
    seconds,
    items: count,
    skipped: first - 1,
    first: 0,
    seed: 1 + round,
  })
  const after = await stage.server.used()
  if (kind.requests === 'returned') {
    await giveBack(stage, { first, count }, signal)
    await stage.drained()
  }
  return { ...result, ...costOf(result, before, after), decided: sharesOf(result.answers, before, after) }
}

/** What was asked last is decided, and nobody waits for it; what was turned away was answered, and is not decided. */
function sharesOf(answers: number, before: Use, after: Use): Map<string, number> {
  const counts = [...after.outcomes]
    .map(([outcome, total]): [string, number] => [outcome, total - (before.outcomes.get(outcome) ?? 0)])
    .filter(([, count]) => count > 0)
  const all = counts.reduce((sum, [, count]) => sum + count, 0)
  return new Map(counts.map(([outcome, count]) => [outcome, count / Math.max(answers, all)]))
}
