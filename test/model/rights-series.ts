import assert from 'node:assert/strict'
import fc from 'fast-check'
import { itemsPerShard, RightsRun, type RunOptions, Tally } from './rights-run.ts'
import { holdMs, type RightsScenario } from './rights-steps.ts'

/** So many times as many runs are made where they have not come to what is rare. */
const roundsMax = 8

export type PlayOptions = Omit<RunOptions, 'tally'> & { readonly tally?: Tally }

export async function play({ shards, limit, steps }: RightsScenario, options: PlayOptions): Promise<void> {
  const terms = { shards, limit, items: itemsPerShard * shards, holdMs }
  const run = new RightsRun(terms, { tally: new Tally(), ...options })
  await run.begin()
  for (const step of steps) await run.step(step)
  await run.finish()
}

export interface Series extends Omit<RunOptions, 'tally'> {
  readonly seed: number
  readonly numRuns: number
}

export interface Expectation extends Series {
  /** What the tally must show: a test that never came to what it is about shows nothing. */
  readonly reaches: readonly string[]
  /** Leaves out, after the model alone has played it, what does not come to this: the rare is too rare for real shards. */
  readonly onlyWhere?: string
}

/** How often all came that did. @throws when a run breaks the limit, or none came to what is to be reached */
export async function assertHolds(
  scenario: fc.Arbitrary<RightsScenario>,
  { seed, numRuns, reaches, onlyWhere, ...options }: Expectation,
): Promise<Tally['all']> {
  const tally = new Tally()
  const property = fc.asyncProperty(scenario, async (drawn) => {
    if (onlyWhere !== undefined) {
      const alone = new Tally()
      await play(drawn, { startMs: options.startMs, protocol: options.protocol, tally: alone })
      if (alone.all[onlyWhere] === undefined) return
    }
    await play(drawn, { ...options, tally })
  })
  const isReached = () => reaches.every((name) => tally.all[name] !== undefined)
  for (let round = 0; round === 0 || (round < roundsMax && !isReached()); round++)
    await fc.assert(property, { seed: seed + round, numRuns })
  assert.deepEqual(
    reaches.filter((name) => tally.all[name] === undefined),
    [],
    `never reached: ${JSON.stringify(tally.all)}`,
  )
  return tally.all
}

/** Of the first run that breaks something. */
export interface Breach {
  readonly numRuns: number
  /** Of an assertion. Undefined: there was no such run, or something else broke it. */
  readonly message: string | undefined
}

export async function findBreach(
  scenario: fc.Arbitrary<RightsScenario>,
  { seed, numRuns: runsMax, ...options }: Series,
): Promise<Breach> {
  const property = fc.asyncProperty(scenario, (drawn) => play(drawn, options))
  const found = await fc.check(property, { seed, numRuns: runsMax, endOnFailure: true })
  const { numRuns, errorInstance } = found
  return { numRuns, message: errorInstance instanceof assert.AssertionError ? errorInstance.message : undefined }
}
