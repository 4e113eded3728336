import { setTimeout as delay } from 'node:timers/promises'
import { msPerSecond } from '../../core/time.ts'
import { cpuDifference } from '../harness/process-cpu.ts'
import { type Candidate, startCandidate, startFloor, type Use } from './candidate.ts'
import { type Requests, runWrk, type WrkOrder, type WrkResult } from './wrk.ts'

export interface Plan {
  readonly rounds: number
  readonly seconds: number
  /** 0: none. */
  readonly warmUpSeconds: number
  readonly connections: readonly number[]
  readonly workers: number
  readonly requests: Requests
  /** Sold before the load that asks only for them. */
  readonly soldItems: number
  /** A built checkout of another version, which is loaded in turn as well. */
  readonly beside: string | undefined
  /** Nothing is turned away, and no answer is given up, because something stood still for a moment. */
  readonly isPatient: boolean
}

/** One load of one server, and what it used for it. */
export interface Measured extends WrkResult {
  /** Role -> us of CPU an answer. */
  readonly cpuUs: ReadonlyMap<string, number>
  readonly meanBatch: number
  readonly fsyncsPerAnswer: number
}

/** What was measured with one number of connections. */
export interface Series {
  readonly connections: number
  /** Name -> its loads, one a round. The first is the floor. */
  readonly loads: ReadonlyMap<string, readonly Measured[]>
  /** Name -> whether its record was right. */
  readonly audits: ReadonlyMap<string, boolean>
}

/** The most a sale takes, so that loads find fresh items as long as possible. */
export const stock = 1_000_000
export const usualSoldItems = 1_000
export const users = 200_000
/** Compiles the hot paths of a server. */
export const usualWarmUpSeconds = 2
/** The CPU is counted in hundredths of a second: fewer answers than this say nothing of what one costs. */
const answersMin = 1_000
const triesMax = 5
const patience = { env: { APP_DEADLINE_MS: '10000' }, patienceSeconds: 30 }
const sellersAtOnce = 32
const answeredMsMax = 30_000

/** Every series has servers of its own: their stock is fresh, and nobody's file is longer than another's. */
export async function measureSeries(plan: Plan, connections: number, say: (text: string) => void): Promise<Series> {
  const candidates: Candidate[] = []
  try {
    const hotcakes = { workers: plan.workers, items: stock, ...(plan.isPatient && { env: patience.env }) }
    candidates.push(await startCandidate('hotcakes', hotcakes))
    if (plan.beside !== undefined) candidates.push(await startCandidate('beside', { ...hotcakes, folder: plan.beside }))
    const bodyBytes = await Promise.all(candidates.map(({ url }) => prepared(url, plan)))
    candidates.unshift(await startFloor(bodyBytes[0] as number))
    const loads = await loadInTurn(plan, connections, candidates, say)
    const audits = new Map<string, boolean>()
    for (const candidate of candidates) {
      const passed = await candidate.audit?.()
      if (passed !== undefined) audits.set(candidate.name, passed)
    }
    return { connections, loads, audits }
  } finally {
    await Promise.all(candidates.map((candidate) => candidate.stop()))
  }
}

async function loadInTurn(
  { rounds, seconds, warmUpSeconds, requests, soldItems, isPatient }: Plan,
  connections: number,
  candidates: readonly Candidate[],
  say: (text: string) => void,
): Promise<Map<string, Measured[]>> {
  const loads = new Map<string, Measured[]>(candidates.map(({ name }) => [name, []]))
  const asked = new Map<string, number>()
  for (let round = warmUpSeconds === 0 ? 1 : 0; round <= rounds; round++) {
    const isWarmUp = round === 0
    for (let at = 0; at < candidates.length; at++) {
      // Each round begins with another one: a machine that slows down slows all.
      const candidate = candidates[(at + round) % candidates.length] as Candidate
      const first = asked.get(candidate.name) ?? soldItems
      const measured = await measureLoad(candidate, {
        connections,
        seconds: isWarmUp ? warmUpSeconds : seconds,
        requests,
        sale: await saleOf(candidate.url),
        items: requests === 'sold' ? soldItems : stock,
        first,
        users,
        seed: 1 + round,
        ...(isPatient && { patienceSeconds: patience.patienceSeconds }),
      })
      asked.set(candidate.name, first + measured.asked)
      if (!isWarmUp) loads.get(candidate.name)?.push(measured)
    }
    const rates = [...loads].map(([name, all]) => `${name} ${Math.round(all.at(-1)?.answersPerSecond ?? 0)}/s`)
    say(`${connections} connections, ${isWarmUp ? 'warmed up' : `round ${round}/${rounds}: ${rates.join(', ')}`}\n`)
  }
  return loads
}

/** Loads one server once, or again if it had hardly time to answer; what that cost counts until all that it answered is on record. */
export async function measureLoad(server: Candidate, order: Omit<WrkOrder, 'url'>): Promise<Measured> {
  let { first } = order
  for (let tries = 1; ; tries++) {
    const before = await server.used()
    const result = await runWrk({ ...order, first, url: server.url })
    const cost = costOf(result, before, await server.used())
    first += result.asked
    if (result.answers >= answersMin || tries === triesMax) return { ...result, ...cost, asked: first - order.first }
  }
}

/** @param before what its server had used up, and `after`: until all that it answered was on record */
export function costOf({ answers }: WrkResult, before: Use, after: Use): Omit<Measured, keyof WrkResult> {
  const calls = after.calls - before.calls
  const cpu = cpuDifference(before.cpuSeconds, after.cpuSeconds)
  return {
    cpuUs: new Map(cpu.map(([role, seconds]) => [role, (seconds * 1e6) / answers])),
    meanBatch: calls === 0 ? 0 : (after.commands - before.commands) / calls,
    fsyncsPerAnswer: (after.fsyncs - before.fsyncs) / answers,
  }
}

async function saleOf(url: string): Promise<number> {
  const body = await (await fetch(`${url}/sale`)).text()
  return body === '' ? 0 : (JSON.parse(body) as { id: number }).id
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** None of what is measured: so a server that has too much to do is asked again, when it says so. */
async function askPatiently(url: string): Promise<Answer> {
  const deadlineMs = performance.now() + answeredMsMax
  for (;;) {
    const response = await fetch(url, { method: 'POST' })
    const answer = { status: response.status, text: await response.text() }
    if (answer.status !== 503 || performance.now() > deadlineMs) return answer
    await delay(Number(response.headers.get('retry-after') ?? 1) * msPerSecond)
  }
}

/** Sells what is to be sold out. @returns the bytes of an answer's body, so that the floor's are as many */
export async function prepared(
  url: string,
  { requests, soldItems }: Pick<Plan, 'requests' | 'soldItems'>,
): Promise<number> {
  const sale = await saleOf(url)
  const ask = async (path: string): Promise<Answer> => await askPatiently(`${url}${path}`)
  const checkout = async (item: number) => await ask(`/checkout?user_id=user-${item}&id=${sale}-${item}`)
  const first = await checkout(stock)
  if (first.status !== 200) throw new Error(`the first checkout was answered ${first.status}: ${first.text}`)
  if (requests === 'fresh') return first.text.length
  const items = Array.from({ length: soldItems }, (_, at) => at + 1).values()
  const sell = async (): Promise<void> => {
    for (const item of items) {
      const { code } = JSON.parse((await checkout(item)).text) as { code: string }
      const { status } = await ask(`/purchase?code=${code}`)
      if (status !== 200) throw new Error(`a purchase was answered ${status}`)
    }
  }
  await Promise.all(Array.from({ length: sellersAtOnce }, sell))
  return (await checkout(1)).text.length
}
