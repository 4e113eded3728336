import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { findScenario } from '../load/scenarios.ts'
import type { Pressure } from './orders.ts'
import type { PlacePlan } from './place.ts'
import type { Case } from './series.ts'

export const mixNames = ['purchase-heavy', 'balanced', 'hot-item', 'sold-out'] as const
export const appendOnlyValues = ['yes', 'no'] as const

/** What is to be measured. */
export interface Plan {
  readonly shards: readonly number[]
  readonly mix: readonly (typeof mixNames)[number][]
  readonly limit: readonly number[]
  /** Mean commands in a call, at equal batches. */
  readonly batch: readonly number[]
  readonly connections: readonly number[]
  readonly users: number
  readonly decisions: number
  readonly seconds: number
  readonly repeat: number
  readonly generators: number
  readonly appendonly: readonly (typeof appendOnlyValues)[number][]
  readonly equal: boolean
  readonly plain: boolean
}

/** In the order in which a round goes through them. */
export function casesOf({ appendonly, batch, connections, equal, mix, limit, ...run }: Plan): Case[] {
  const withConnections: Pressure[] = equal ? [] : connections.map((count) => ({ connections: count }))
  const pressures: Pressure[] = [...batch.map((size) => ({ batch: size })), ...withConnections]
  return appendonly.flatMap((appendOnly) =>
    pressures.flatMap((pressure) =>
      mix.flatMap((name) => limit.map((userLimit) => caseOf(name, { appendOnly, pressure, userLimit, ...run }))),
    ),
  )
}

interface CaseOptions extends Pick<Plan, 'users' | 'decisions' | 'seconds'> {
  readonly appendOnly: Case['appendOnly']
  readonly pressure: Pressure
  readonly userLimit: number
}

function caseOf(name: (typeof mixNames)[number], options: CaseOptions): Case {
  const { pressure, userLimit, users, decisions, seconds, appendOnly } = options
  const settings = findScenario(name)?.settings
  if (settings === undefined) throw new Error(`there is no scenario ${name}`)
  const { mix, fresh, hot, items, hold: holdSeconds } = settings
  const how = 'batch' in pressure ? `equal batches of ${pressure.batch}` : `${pressure.connections} connections`
  return {
    name: `${name}, limit ${userLimit}, ${how}, appendonly ${appendOnly}`,
    appendOnly,
    order: {
      mix,
      fresh,
      hot,
      items,
      holdSeconds,
      users,
      userLimit,
      pressure,
      decisions,
      // Enough to sell the 100 items of the sale that is sold out.
      warmup: Math.ceil(decisions / 3),
      secondsMax: seconds,
    },
  }
}

export function placesOf({ shards, plain, generators }: Plan): PlacePlan[] {
  const alone = plain ? [{ name: 'plain', shards: 1, isCluster: false }] : []
  const clusters = shards.map((count) => ({ name: String(count), shards: count, isCluster: true }))
  return [...alone, ...clusters].map((plan) => ({ ...plan, generators, pinning: pinningOf(plan.shards, generators) }))
}

/** Node s has core s, and the generators have those behind. `undefined` where the cores don't suffice. */
function pinningOf(shards: number, generators: number): PlacePlan['pinning'] {
  if (availableParallelism() < Math.max(shards + 2, shards + generators)) return undefined
  if (spawnSync('taskset', ['--version']).status !== 0) return undefined
  return { redis: coresFrom(0, shards), generators: coresFrom(shards, generators) }
}

function coresFrom(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => String(first + at))
}

/** Of which places the decisions a second mean something. */
export function placementText(places: readonly PlacePlan[]): string {
  const names = (isPinned: boolean): string =>
    places
      .filter(({ pinning }) => (pinning !== undefined) === isPinned)
      .map(({ name }) => name)
      .join(', ')
  const [pinned, others] = [names(true), names(false)]
  const cores = availableParallelism()
  return [
    ...(pinned === '' ? [] : [`A core for each node and generator: ${pinned}. There "per second" is a throughput.`]),
    ...(others === '' ? [] : [`On ${cores} cores no throughput could be measured with ${others}: only CPU.`]),
  ].join('\n')
}
