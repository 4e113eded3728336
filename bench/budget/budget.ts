import { committedPosition } from '../../core/postgres/committed-position.ts'
import { connectPostgres, type Postgres } from '../../core/postgres/connection.ts'
import { firstShard } from '../../core/shards.ts'
import { type Candidate, startFloor } from '../floor/candidate.ts'
import { type Measured, measureLoad, prepared, stock, users } from '../floor/rounds.ts'
import type { WrkOrder } from '../floor/wrk.ts'
import { Mirror } from '../growth/mirror.ts'
import { patienceSeconds, Stage } from '../growth/stage.ts'
import { embeddedPostgres } from '../harness/embedded-postgres.ts'
import { childrenCpuSeconds, cpuSecondsBelow, roleOf } from '../harness/process-cpu.ts'
import { type BareCalls, BareRedis } from './bare-redis.ts'

export interface BudgetPlan {
  readonly rounds: number
  readonly seconds: number
  /** 0: none. */
  readonly warmUpSeconds: number
  readonly connections: number
  /** Of each kind, to the bare Redis. */
  readonly calls: number
}

/** What an answer cost, and what its parts cost by themselves, measured in turn: us of CPU an answer. */
export interface BudgetRound {
  readonly floor: Measured
  readonly hotcakes: Measured
  /** In calls of as many commands as those of the load. */
  readonly function: BareCalls
  readonly changes: BareCalls
  readonly log: BareCalls
  /** The log entry alone, by a Redis that doesn't sync. */
  readonly unsynced: BareCalls
  /** The rows of the load, copied once more. */
  readonly copy: { readonly postgresUs: number; readonly clientUs: number }
}

export interface BudgetResult {
  readonly rounds: readonly BudgetRound[]
  /** What copied the rows besides the persister. */
  readonly copier: string
  readonly auditPassed: boolean
}

interface Parts {
  readonly plan: BudgetPlan
  readonly stage: Stage
  readonly floor: Candidate
  readonly redis: BareRedis
  readonly postgres: Postgres
  readonly mirror: Mirror
  readonly signal: AbortSignal
}

/** @param watch.say gets a line a round */
export async function measureBudget(
  plan: BudgetPlan,
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<BudgetResult> {
  const stops: (() => unknown)[] = []
  try {
    const redis = await BareRedis.start()
    stops.push(async () => await redis.stop())
    const stage = await Stage.open({ name: 'budget', items: stock }, signal)
    stops.push(async () => await stage.close())
    const floor = await startFloor(await prepared(stage.server.url, { requests: 'fresh', soldItems: 0 }))
    stops.push(async () => await floor.stop())
    const settings = embeddedPostgres(stage.server.hotcakes)
    const postgres = connectPostgres(settings, { applicationName: 'hotcakes bench:budget' })
    stops.push(() => postgres.close())
    await stage.drained()
    const mirror = new Mirror(postgres, settings)
    stops.push(() => mirror.close())
    const parts = { plan, stage, floor, redis, postgres, mirror, signal }
    const rounds = await measureRounds(parts, say)
    mirror.drop()
    return { rounds, copier: mirror.copier, auditPassed: await stage.server.audit(signal) }
  } finally {
    for (const stop of stops.toReversed()) await stop()
  }
}

async function measureRounds(parts: Parts, say: (text: string) => void): Promise<BudgetRound[]> {
  const { rounds: count, connections, warmUpSeconds } = parts.plan
  const rounds: BudgetRound[] = []
  // Of the stock, by the floor and by hotcakes: each item is asked for once.
  const walked = { floor: 0, hotcakes: 0 }
  for (let round = warmUpSeconds === 0 ? 1 : 0; round <= count; round++) {
    parts.signal.throwIfAborted()
    const measured = await measureRound(parts, walked, round)
    if (round > 0) rounds.push(measured)
    const rates = `floor ${Math.round(measured.floor.answersPerSecond)}/s, hotcakes ${Math.round(measured.hotcakes.answersPerSecond)}/s`
    say(`${connections} connections, ${round === 0 ? 'warmed up' : `round ${round}/${count}: ${rates}`}\n`)
  }
  return rounds
}

async function measureRound(
  parts: Parts,
  walked: { floor: number; hotcakes: number },
  round: number,
): Promise<BudgetRound> {
  const { plan, stage, redis, postgres, mirror } = parts
  const floor = await measureLoad(parts.floor, orderOf(parts, walked.floor, round))
  walked.floor += floor.asked
  const after = committedPosition(postgres, firstShard)
  const hotcakes = await measureLoad(stage.server, orderOf(parts, walked.hotcakes, round))
  walked.hotcakes += hotcakes.asked
  const { last: through } = await stage.store.logState()
  const call = { calls: plan.calls, commands: Math.max(1, Math.round(hotcakes.meanBatch)) }
  return {
    floor,
    hotcakes,
    function: await redis.measure('function', call),
    changes: await redis.measure('changes', call),
    log: await redis.measure('log', call),
    unsynced: await redis.measure('log', { ...call, isSynced: false }),
    copy: await copyCost(parts, mirror.export(after, through)),
  }
}

function orderOf({ plan, stage, signal }: Parts, first: number, round: number): Omit<WrkOrder, 'url'> {
  return {
    connections: plan.connections,
    seconds: round === 0 ? plan.warmUpSeconds : plan.seconds,
    requests: 'fresh',
    sale: stage.sale,
    items: stock,
    first,
    users,
    seed: 1 + round,
    patienceSeconds,
    signal,
  }
}

async function copyCost({ stage, mirror, signal }: Parts, rows: number): Promise<BudgetRound['copy']> {
  const postgresSeconds = (): number => cpuSecondsBelow(stage.server.hotcakes.pid, roleOf).get('Postgres') ?? 0
  const [postgresBefore, clientBefore] = [postgresSeconds(), childrenCpuSeconds()]
  await mirror.copy(signal)
  return {
    postgresUs: ((postgresSeconds() - postgresBefore) * 1e6) / rows,
    clientUs: ((childrenCpuSeconds() - clientBefore) * 1e6) / rows,
  }
}
