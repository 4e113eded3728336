import assert from 'node:assert/strict'
import { Bench } from 'tinybench'
import type { Candidate, Case } from './subject.ts'

export interface MeasureSettings {
  /** Times that each candidate is measured, in turn with the others: what disturbs the machine meets all of them. */
  readonly rounds: number
  /** How long in each round. */
  readonly ms: number
  /** Least samples in each round. */
  readonly samplesMin: number
  readonly signal: AbortSignal
}

/** Times are ns for one operation. */
export interface MeasuredCandidate {
  readonly name: string
  readonly medianNs: number
  readonly p25Ns: number
  readonly p75Ns: number
  readonly samples: number
  readonly operationsPerSecond: number
  /** To the first candidate: the median of the rounds' ratios of medians, and the least and the largest of them. */
  readonly ratio: number
  readonly ratioMin: number
  readonly ratioMax: number
  /** What its meter counted for one operation. */
  readonly metered: Readonly<Record<string, number>>
}

export interface MeasuredCase {
  readonly subject: string
  readonly name: string
  readonly operation: string
  /** Why there is nothing to compare; then there are no candidates. */
  readonly void?: string
  readonly candidates: readonly MeasuredCandidate[]
}

interface Round {
  /** ns for one operation, sorted. */
  readonly samples: readonly number[]
  readonly metered: Readonly<Record<string, number>>
}

/** Of a round's time. The first round warms up for as long as it measures: until then V8 has compiled it all. */
const warmupShare = 0.25

/** Checks that the candidates come to the same result, and measures them. Throws when the signal cuts it short. */
export async function measureCase(subject: string, measured: Case, settings: MeasureSettings): Promise<MeasuredCase> {
  const { name, operation, candidates } = measured
  const difference = await differenceBetween(candidates)
  if (difference !== undefined) return { subject, name, operation, void: difference, candidates: [] }

  const rounds = new Map<Candidate, Round[]>(candidates.map((candidate) => [candidate, []]))
  for (let round = 0; round < settings.rounds; round++) {
    for (let place = 0; place < candidates.length; place++) {
      // Each round starts with another one: their order must not matter.
      const candidate = candidates[(place + round) % candidates.length] as Candidate
      settings.signal.throwIfAborted()
      rounds.get(candidate)?.push(await measureOnce(candidate, settings, round === 0))
    }
  }
  const first = rounds.get(candidates[0] as Candidate) as Round[]
  return { subject, name, operation, candidates: candidates.map((one) => summary(one, rounds.get(one) ?? [], first)) }
}

async function differenceBetween([first, ...others]: readonly Candidate[]): Promise<string | undefined> {
  const expected: unknown = await first?.result()
  for (const other of others) {
    try {
      assert.deepEqual(await other.result(), expected)
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error
      return `the result of '${other.name}' is not that of '${first?.name}': ${error.message}`
    }
  }
  return undefined
}

async function measureOnce(candidate: Candidate, settings: MeasureSettings, isFirst: boolean): Promise<Round> {
  const { run, operations, meter, isAsync = false } = candidate
  await candidate.prepare?.()
  const bench = new Bench({
    time: settings.ms,
    iterations: settings.samplesMin,
    warmupTime: isFirst ? settings.ms : settings.ms * warmupShare,
    warmupIterations: 1,
    retainSamples: true,
    throws: true,
  })
  let before: Readonly<Record<string, number>> = {}
  let after: Readonly<Record<string, number>> = {}
  bench.add(candidate.name, run, {
    async: isAsync,
    // Also after the warm-up, whose totals the run's then replace.
    beforeAll: async () => {
      before = (await meter?.()) ?? {}
    },
    afterAll: async () => {
      after = (await meter?.()) ?? {}
    },
  })
  await bench.run()
  const result = bench.getTask(candidate.name)?.result
  if (result?.state !== 'completed') throw new Error(`'${candidate.name}' was ${result?.state ?? 'not found'}`)
  const samples = (result.latency.samples ?? []).map((ms) => (ms * 1e6) / operations)
  const operationsDone = result.latency.samplesCount * operations
  const metered = Object.entries(after).map(([name, total]) => [name, (total - (before[name] ?? 0)) / operationsDone])
  return { samples, metered: Object.fromEntries(metered) as Record<string, number> }
}

function summary(candidate: Candidate, rounds: readonly Round[], first: readonly Round[]): MeasuredCandidate {
  const pooled = rounds.flatMap(({ samples }) => samples).toSorted((a, b) => a - b)
  const ratios = rounds.map(({ samples }, at) => quantile(samples, 0.5) / quantile(first[at]?.samples ?? [], 0.5))
  ratios.sort((a, b) => a - b)
  const meters = Object.keys(rounds[0]?.metered ?? {})
  const meteredMedian = (name: string): number =>
    quantile(
      rounds.map(({ metered }) => metered[name] ?? 0).toSorted((a, b) => a - b),
      0.5,
    )
  const medianNs = quantile(pooled, 0.5)
  return {
    name: candidate.name,
    medianNs,
    p25Ns: quantile(pooled, 0.25),
    p75Ns: quantile(pooled, 0.75),
    samples: pooled.length,
    operationsPerSecond: 1e9 / medianNs,
    ratio: quantile(ratios, 0.5),
    ratioMin: quantile(ratios, 0),
    ratioMax: quantile(ratios, 1),
    metered: Object.fromEntries(meters.map((name) => [name, meteredMedian(name)])),
  }
}

/** Between the two nearest of ascending values; NaN when there are none. */
export function quantile(ascending: readonly number[], share: number): number {
  const at = (ascending.length - 1) * share
  const below = ascending[Math.floor(at)] ?? Number.NaN
  const above = ascending[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}
