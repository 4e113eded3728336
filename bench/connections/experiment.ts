import { metricSum } from '../harness/metric-sum.ts'
import { cpuDifference, cpuSecondsBelow, residentBytesBelow, roleOf } from '../harness/process-cpu.ts'
import { type RunningHotcakes, startHotcakes } from '../harness/server-under-test.ts'
import { askSale, drained } from '../load/server-view.ts'
import { auditVerdict } from '../load/target.ts'
import { Generator } from '../overload/generator.ts'
import type { Phase, PhaseResult } from '../overload/phase-record.ts'
import { type Pinning, pin } from '../overload/pinning.ts'
import { recoveredAfterMs } from '../overload/slices.ts'
import type { AuditResult } from '../report/report.ts'
import { type Demand, demandOf, type Probe } from './demand.ts'
import { CallingFlood, ConnectingFlood, type Flood, type FloodResult, KeptFlood } from './floods.ts'
import type { FloodKind } from './kinds.ts'
import type { WrkOrder } from './wrk.ts'

export interface Plan {
  /** Of the flood, and of the calm before it. */
  readonly seconds: number
  /** Of the calm after it, at least. */
  readonly calmAfterSecondsMin: number
  /** Of more clients than keep the server busy, to see what it can do alone. */
  readonly probe: Probe
  readonly clients: number
  readonly buyers: number
  /** Requests a second of all of them; 0: in closed loops. */
  readonly buyersRate: number
  /** Settings of the server that are not those of the measurement. */
  readonly env: Readonly<Record<string, string>>
  readonly pinning: Pinning | undefined
}

/** The server that is flooded. */
export interface Build {
  readonly name: string
  /** Compiled; `undefined`: this version's. */
  readonly programs: { readonly server: string; readonly audit: string } | undefined
}

export interface Measured {
  readonly kind: FloodKind
  readonly build: string
  /** The good buyers. */
  readonly before: PhaseResult
  readonly during: PhaseResult
  readonly after: PhaseResult
  readonly flood: FloodResult
  /** Of the first kind alone. */
  readonly demand?: Demand
  /** By the server's own count, with those that were refused; 0 where a version doesn't count them. */
  readonly acceptedConnections: number
  readonly refusedConnections: number
  /** Seconds by role, in the calm before and in the flood. */
  readonly cpuBefore: Readonly<Record<string, number>>
  readonly cpuDuring: Readonly<Record<string, number>>
  /** Of the HTTP worker when the flood began and when it ended. */
  readonly residentBytes: readonly [number, number]
  /** From the end of the flood; `undefined`: not seen. */
  readonly recoveredAfterMs: number | undefined
  readonly isDrained: boolean
  readonly audit: AuditResult
}

const items = 1_000_000
/** The first ones are for the good buyers, those that follow are asked for in advance, and the rest is the flood's. */
const goodItems = 500_000
const probeItems = 100_000
const goodAddress = '127.0.0.9'
const warmUpSeconds = 2
/** Connections that the bench itself may have beside its buyers. */
const ownConnections = 16
const addressConnections = 100
const drainMsMax = 120_000

export interface Setup extends Plan {
  readonly kind: FloodKind
  readonly build: Build
  /** Requests a second of a kept flood. */
  readonly rate: number
  readonly stop: AbortSignal
}

/** A server of its own, its buyers, the flood beside them, and a calm before and after. @throws when it was stopped */
export async function measure(setup: Setup): Promise<Measured> {
  const { kind, build, buyers, pinning, probe, env, stop } = setup
  const options = { detached: true, ...(build.programs !== undefined && { program: build.programs.server }) }
  const server = await startHotcakes({ ...settingsOf(kind, buyers), ...env }, options)
  const running: { stop(): void }[] = []
  const stopAll = (): void => running.forEach((each) => each.stop())
  stop.addEventListener('abort', stopAll)
  try {
    const generator = await Generator.start()
    running.push(generator)
    const { id: sale } = await askSale(server.url)
    const flood = await floodOf(setup, server.url, sale)
    running.push(flood)
    stop.throwIfAborted()
    if (pinning !== undefined) {
      pin(server.pid, pinning.server)
      for (const pid of [generator.pid, flood.pid]) if (pid !== 0) pin(pid, pinning.generator)
    }
    const demand = kind === 'request' ? await demandOf(probeOrder(setup, server.url, sale), probe, stop) : undefined
    generator.open({ url: server.url, stock: { sale, items: goodItems }, connections: buyers, from: goodAddress })
    const measured = await flooded(setup, server, generator, flood)
    stopAll()
    const isDrained = (await drained(server.url, drainMsMax, stop)) !== undefined
    stop.throwIfAborted()
    const audit = await auditVerdict({
      ...server,
      ...(build.programs !== undefined && { program: build.programs.audit }),
    })
    return { ...measured, ...(demand !== undefined && { demand }), isDrained, audit }
  } finally {
    stop.removeEventListener('abort', stopAll)
    stopAll()
    await server.stop()
  }
}

function settingsOf(kind: FloodKind, buyers: number): Record<string, string> {
  return {
    APP_WORKERS: '1',
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: '1000',
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_CONNECTIONS_PER_ADDRESS_MAX: String(kind === 'address full' ? addressConnections : 0),
    ...(kind === 'worker full' && { APP_CONNECTIONS_MAX: String(buyers + ownConnections) }),
  }
}

function probeOrder({ pinning }: Setup, url: string, sale: number): Omit<WrkOrder, 'clients' | 'seconds'> {
  return { url, sale, after: goodItems, items: probeItems, core: pinning?.generator }
}

async function floodOf({ kind, rate, seconds, clients, pinning }: Setup, url: string, sale: number): Promise<Flood> {
  const stock = { after: goodItems + probeItems, items: items - goodItems - probeItems }
  if (kind === 'kept') {
    return await KeptFlood.open({ url, stock: { sale, ...stock }, connections: clients }, { seconds, rate })
  }
  if (kind === 'silent') return await CallingFlood.open({ port: Number(new URL(url).port), clients }, seconds)
  const order: WrkOrder = { url, clients, seconds, sale, ...stock, core: pinning?.generator }
  return new ConnectingFlood(order)
}

/** What the server has used. */
interface Look {
  readonly cpu: ReadonlyMap<string, number>
  readonly residentBytes: number
}

/** What it has counted of connections. */
interface Counts {
  readonly accepted: number
  readonly refused: number
}

type Seen = Omit<Measured, 'isDrained' | 'audit'>

async function flooded(
  { kind, build, seconds, calmAfterSecondsMin, buyers, buyersRate }: Setup,
  server: RunningHotcakes,
  generator: Generator,
  flood: Flood,
): Promise<Seen> {
  const phase = { rate: buyersRate, connections: buyers }
  const phases: Phase[] = [
    { ...phase, name: 'warm-up', seconds: warmUpSeconds },
    { ...phase, name: 'before', seconds },
    { ...phase, name: 'flood', seconds },
    { ...phase, name: 'after', seconds: Math.max(seconds, calmAfterSecondsMin) },
  ]
  const looks: Look[] = []
  let counting: Promise<Counts> | undefined
  const { results, slices } = await generator.run(phases, (name) => {
    // In the calm: in the flood it is answered late, and has a part of the flood in it.
    if (name === 'before') counting = countsOf(server)
    if (name === 'flood') flood.start()
    if (name !== 'warm-up') looks.push(lookAt(server))
  })
  const [, before, during, after] = results as [PhaseResult, PhaseResult, PhaseResult, PhaseResult]
  const [atStart, atFlood, atEnd] = looks as [Look, Look, Look]
  const flooding = await flood.result()
  const [first, last] = [(await counting) as Counts, await countsOf(server)]
  // Twice the calm before, and what a single late timer adds to that.
  const p99UsMax = Math.max(2 * before.acceptedFromDue.p99Us, before.acceptedFromDue.p99Us + 10_000)
  return {
    kind,
    build: build.name,
    before,
    during,
    after,
    flood: flooding,
    acceptedConnections: last.accepted - first.accepted,
    refusedConnections: last.refused - first.refused,
    cpuBefore: difference(atStart.cpu, atFlood.cpu),
    cpuDuring: difference(atFlood.cpu, atEnd.cpu),
    residentBytes: [atFlood.residentBytes, atEnd.residentBytes],
    recoveredAfterMs: recoveredAfterMs(slices, (warmUpSeconds + 2 * seconds) * 1_000, p99UsMax),
  }
}

function difference(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(cpuDifference(before, after))
}

function lookAt({ pid }: RunningHotcakes): Look {
  return { cpu: cpuSecondsBelow(pid, roleOf), residentBytes: residentBytesBelow(pid, roleOf)['HTTP workers'] ?? 0 }
}

async function countsOf({ metricsUrl }: RunningHotcakes): Promise<Counts> {
  // Over a connection of its own: one that was kept may be closed by the server while we were too busy to hear of it.
  const metrics = await (await fetch(metricsUrl, { headers: { connection: 'close' } })).text()
  return {
    accepted: metricSum(metrics, 'hotcakes_http_connections_accepted_total'),
    refused: metricSum(metrics, 'hotcakes_http_connections_refused_total'),
  }
}
