import fc from 'fast-check'
import type { RightsStep, SymbolicCommand } from './rights-run.ts'

export const holdMs = 10_000
export const shardsMax = 6
const lostAtOnceMax = 3

const pick = fc.nat({ max: 1_000 })
/** A command mostly carries no receipts, or some that may be old, repeated or of others. */
const messages = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 3, arbitrary: fc.array(pick, { maxLength: 3 }) },
)
const rarely = fc.oneof({ weight: 12, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
const user = fc.nat({ max: 1 })
const few = fc.nat({ max: 59 })

const commandOf = (releases: boolean): fc.Arbitrary<SymbolicCommand> =>
  fc.oneof(
    { weight: releases ? 2 : 0, arbitrary: fc.record({ kind: fc.constant('release' as const), offer: pick }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('checkout' as const),
        user,
        item: few,
        isStray: rarely,
        messages,
        isLastWord: rarely,
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('purchase' as const), offer: pick }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('lend' as const), user, to: few, messages }) },
  )

const forwards = fc.integer({ min: 1, max: holdMs })
const anywhere = fc.integer({ min: -holdMs - 2_000, max: holdMs + 2_000 })

/** Of shards that have lost their disk, or are declared lost. */
const lossOf: fc.Arbitrary<RightsStep> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('drain' as const), shard: few }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disk' as const), shard: few }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('declare' as const), shard: few }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rebuild' as const), shard: few }) },
)

function stepOf(
  clock: fc.Arbitrary<number>,
  { losses, releases }: { losses: boolean; releases: boolean },
): fc.Arbitrary<RightsStep> {
  return fc.oneof(
    { weight: losses ? 8 : 0, arbitrary: lossOf },

    {
      weight: 20,
      arbitrary: fc.record({
        kind: fc.constant('batch' as const),
        shard: few,
        commands: fc.array(commandOf(releases), { minLength: 1, maxLength: 4 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('round' as const), user, item: few }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('save' as const), shard: few }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('lose' as const),
        shards: fc.array(few, { minLength: 1, maxLength: lostAtOnceMax }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), message: pick }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('clock' as const), stepMs: clock }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'finish' as const }) },
  )
}

/** A sale, and what happens to it. */
export interface RightsScenario {
  readonly shards: number
  readonly limit: number
  readonly steps: readonly RightsStep[]
}

export interface AnyTerms {
  /** Whether the clock does. */
  readonly stepsBack: boolean
  readonly stepsMax: number
  /** Whether shards lose what Postgres doesn't have, and are declared lost. */
  readonly losses?: boolean
  /** Whether holds are given back: a shard that forgets that is like one whose clock stepped back. */
  readonly releases?: boolean
}

export function rightsScenario({
  stepsBack,
  stepsMax,
  losses = false,
  releases = false,
}: AnyTerms): fc.Arbitrary<RightsScenario> {
  const step = stepOf(stepsBack ? anywhere : forwards, { losses, releases })
  return fc.record({
    shards: fc.oneof(
      { weight: 1, arbitrary: fc.constant(1) },
      { weight: 9, arbitrary: fc.integer({ min: 2, max: shardsMax }) },
    ),
    limit: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
      { weight: 1, arbitrary: fc.integer({ min: 5, max: 12 }) },
    ),
    steps: fc.array(step, { minLength: 1, maxLength: stepsMax, size: 'max' }),
  })
}

const always = fc.constant(0)
/** Of the one buyer. */
const moveOf: fc.Arbitrary<RightsStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('round' as const), user: always, item: few }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      shard: few,
      commands: fc.tuple(
        fc.record({ kind: fc.constant('lend' as const), user: always, to: few, messages: fc.tuple(pick) }),
        fc.record({ kind: fc.constant('purchase' as const), offer: pick }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('save' as const), shard: few }) },
)
const moves = fc.array(moveOf, { maxLength: 6, size: 'max' })
const lostTogether: fc.Arbitrary<RightsStep> = fc.record({
  kind: fc.constant('lose' as const),
  shards: fc.array(few, { minLength: 1, maxLength: lostAtOnceMax }),
})

function clockBy(...stepsMs: number[]): fc.Arbitrary<RightsStep> {
  return fc.record({ kind: fc.constant('clock' as const), stepMs: fc.constantFrom(...stepsMs) })
}

/** Of a shard: so many of the codes that were offered there. */
function releasesAt(shard: number): RightsStep {
  const commands = Array.from({ length: 6 }, (_, offer) => ({ kind: 'release' as const, offer }))
  return { kind: 'batch', shard, commands }
}

export interface RevivingTerms {
  readonly losses: boolean
  readonly ended?: 'by the clock' | 'by releases'
}

/**
 * Worlds in which all holds of a buyer have ended when its few rights go on, and what shards have that forget that comes to
 * life: by a clock that steps back, or because the holds were released.
 */
export function revivingScenario({ losses, ended = 'by the clock' }: RevivingTerms): fc.Arbitrary<RightsScenario> {
  const isReleased = ended === 'by releases'
  const releases = fc.constant([0, 1, 2, 3].map(releasesAt))
  const loss = fc.array(losses ? fc.oneof(lostTogether, lossOf) : lostTogether, {
    minLength: 1,
    maxLength: losses ? 4 : 1,
  })
  const part = fc
    .tuple(
      moves,
      isReleased ? releases : clockBy(holdMs),
      moves,
      loss,
      clockBy(...(isReleased ? [0] : [0, -1, -holdMs])),
      moves,
      fc.constant<RightsStep>({ kind: 'finish' }),
    )
    .map((steps) => steps.flat())
  return fc.record({
    shards: fc.integer({ min: 3, max: 4 }),
    limit: fc.integer({ min: 1, max: 2 }),
    steps: fc.array(part, { minLength: 1, maxLength: 4, size: 'max' }).map((parts) => parts.flat()),
  })
}

/** Of a scenario, in words that a thread can be started with. */
export type ScenarioTerms = ({ readonly kind: 'any' } & AnyTerms) | ({ readonly kind: 'reviving' } & RevivingTerms)

export function scenarioOf(terms: ScenarioTerms): fc.Arbitrary<RightsScenario> {
  return terms.kind === 'any' ? rightsScenario(terms) : revivingScenario(terms)
}
