import { median } from '../harness/median.ts'
import { mergeHistograms } from '../report/latencies.ts'
import type { RunResult } from './orders.ts'

/** One run, of all its generators together. Times in us of one decision, if nothing else is said. */
export interface MeasuredRun {
  readonly shards: number
  readonly perSecond: number
  readonly connections: number
  readonly redisUs: number
  /** Of each shard's Redis. They add up to `redisUs`. */
  readonly nodeUs: readonly number[]
  /** What so many nodes could decide a second if each had a core to itself, by the mean of them. */
  readonly capacity: number
  /** The busiest node's CPU to the mean of all. */
  readonly busiest: number
  readonly generatorUs: number
  readonly callsPerDecision: number
  readonly commandsPerDecision: number
  readonly meanBatch: number
  /** Of checkouts: those that found no right in the shard of their item; and those whose item was theirs in the end. */
  readonly withoutRight: number
  readonly heldShare: number
  readonly loansPerCheckout: number
  readonly limitReached: number
  readonly undecided: number
  /** us, of an answer. */
  readonly p50Us: number
  readonly p99Us: number
}

export function measuredRun(results: readonly RunResult[], shards: number): MeasuredRun {
  const sum = (of: (result: RunResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const decisions = Math.max(
    1,
    sum((result) => result.decisions),
  )
  const checkouts = Math.max(
    1,
    sum((result) => result.checkouts),
  )
  // Every generator has asked all nodes, at about the same moments.
  const asked = Array.from({ length: shards }, (_, shard) => sum(({ redisUs }) => redisUs[shard] ?? 0) / results.length)
  const nodeUs = asked.map((us) => us / decisions)
  const redisUs = nodeUs.reduce((total, us) => total + us, 0)
  const latencies = mergeHistograms(results.map((result) => result.latencies))
  return {
    shards,
    perSecond: sum(({ decisions: own, seconds }) => own / seconds),
    connections: sum((result) => result.connections),
    redisUs,
    nodeUs,
    capacity: (shards * 1e6) / redisUs,
    busiest: (Math.max(...nodeUs) * shards) / redisUs,
    generatorUs: sum((result) => result.generatorUs) / decisions,
    callsPerDecision: sum((result) => result.calls) / decisions,
    commandsPerDecision: sum((result) => result.commands) / decisions,
    meanBatch:
      sum((result) => result.commands) /
      Math.max(
        1,
        sum((result) => result.calls),
      ),
    withoutRight: sum((result) => result.withoutRight) / checkouts,
    heldShare: sum((result) => result.held) / checkouts,
    loansPerCheckout: sum((result) => result.loansAsked) / checkouts,
    limitReached: sum((result) => result.limitReached),
    undecided: sum((result) => result.undecided),
    p50Us: latencies.getValueAtPercentile(50),
    p99Us: latencies.getValueAtPercentile(99),
  }
}

/** The median of each number over repeats of one run. */
export function medianRun(runs: readonly MeasuredRun[]): MeasuredRun {
  const [first] = runs
  if (first === undefined) throw new Error('nothing was measured')
  const entries = Object.entries(first).map(([name, value]): [string, number | number[]] => {
    const all = runs.map((run) => run[name as keyof MeasuredRun])
    if (typeof value === 'number') return [name, median(all as number[])]
    return [name, value.map((_: number, at: number) => median((all as number[][]).map((each) => each[at] as number)))]
  })
  return Object.fromEntries(entries) as unknown as MeasuredRun
}
