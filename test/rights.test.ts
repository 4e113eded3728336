// Goal: no buyer ever has more purchases and live holds in a sale of several shards than its limit, whatever is lost, late,
// repeated or forgotten, and a refusal after every shard was asked is right.
// Method: random steps of buyers, of workers that move rights, of messages, of Redis' clock, and of shards that come back with
// an older state and are admitted while others go on. They are played on a plain model of the shards, and at the same time on
// real ones: every reply must be the same, and after each step all that they have. The model alone plays many more. With
// a part of the protocol left out the same check must fail.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { seed } from './helpers/seed.ts'
import { openRedis, startRedis } from './helpers/services.ts'
import { connectShards } from './helpers/sharded-sale.ts'
import { RedisShards } from './model/redis-shards.ts'
import { assertHoldsAside, findBreachAside } from './model/rights-aside.ts'
import { type RightsStep, Tally } from './model/rights-run.ts'
import { assertHolds, findBreach, type PlayOptions, play as playOn } from './model/rights-series.ts'
import { holdMs, type RightsScenario, revivingScenario, rightsScenario, shardsMax } from './model/rights-steps.ts'

const runs = Number(process.env['MODEL_RUNS'] ?? 60)
const runsOfModel = 12 * runs
const startMs = Date.now()

const redis = await startRedis({ after })
const stores = await connectShards({ after }, redis.connection, shardsMax)
const admin = await openRedis({ after }, redis.admin)
// Nothing here is about what a crash leaves, and each write would wait for the disk.
await admin.config('SET', 'appendfsync', 'no')
const real = new RedisShards(stores, admin, startMs)

function play(scenario: RightsScenario, options: Omit<PlayOptions, 'startMs'>): Promise<void> {
  return playOn(scenario, { startMs, ...options })
}

const everyReply = [
  'held',
  'held_again',
  'item_held',
  'item_sold',
  'user_limit_reached',
  'purchased',
  'purchased_again',
  'code_expired',
  'code_unknown',
  'lent',
  'not_lent',
  'misplaced',
  'rights_elsewhere',
  'not_listed',
  'received',
  'refused',
  'refusedAfterRound',
]
const everyRelease = ['released', 'released_again', 'release_sold', 'release_unknown', 'release_expired']
const repliesInFewRuns = ['held', 'purchased', 'user_limit_reached', 'lent', 'received', 'rights_elsewhere', 'refused']

/** What all series of runs of the model alone have in common, and all of the real shards. */
const byModel = { startMs, seed, numRuns: runsOfModel, protocol: 'whole' } as const
const byRedis = { startMs, seed, numRuns: runs, protocol: 'whole', real } as const

test(`by the model nobody has more than the limit, and whoever waits has what its buyers have (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'any', stepsBack: false, stepsMax: 120 } as const
  const counts = await assertHoldsAside({ ...byModel, scenario, reaches: everyReply })
  t.diagnostic(JSON.stringify(counts))
  assert.equal(counts['cut'], undefined, 'no live hold is ever cut off')
})

test(`by the model nobody has more than the limit where the clock steps back too (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'any', stepsBack: true, stepsMax: 120, releases: true } as const
  const reaches = [...everyReply, ...everyRelease]
  t.diagnostic(JSON.stringify(await assertHoldsAside({ ...byModel, scenario, reaches })))
})

test(`by the model nobody has more than the limit where releases are forgotten (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'reviving', losses: false, ended: 'by releases' } as const
  const reaches = ['released', 'short', 'cut']
  t.diagnostic(JSON.stringify(await assertHoldsAside({ ...byModel, scenario, reaches })))
  const withLosses = {
    scenario: { ...scenario, losses: true },
    drains: true,
    reaches: [...reaches, 'declared lost', 'disk lost'],
  }
  t.diagnostic(JSON.stringify(await assertHoldsAside({ ...byModel, ...withLosses })))
})

test(`by the model nobody has more than the limit where disks are lost and shards declared lost (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'any', stepsBack: false, stepsMax: 120, losses: true } as const
  const reaches = [...everyReply, 'declared lost', 'disk lost']
  const counts = await assertHoldsAside({ ...byModel, scenario, drains: true, reaches })
  t.diagnostic(JSON.stringify(counts))
  assert.equal(counts['cut'], undefined, 'no live hold is ever cut off')
})

test(`by the model nobody has more than the limit where a clock brings holds to life whose rights went on (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'reviving', losses: false } as const
  t.diagnostic(JSON.stringify(await assertHoldsAside({ ...byModel, scenario, reaches: ['short', 'cut'] })))
})

test(`by the model nobody has more than the limit where shards are declared lost besides (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'reviving', losses: true } as const
  const reaches = ['short', 'cut', 'owed', 'declared lost', 'disk lost']
  t.diagnostic(JSON.stringify(await assertHoldsAside({ ...byModel, scenario, drains: true, reaches })))
})

test(`Redis' shards decide like those of the model, and nobody has more than the limit (SEED=${seed})`, async (t) => {
  const scenario = rightsScenario({ stepsBack: false, stepsMax: 60 })
  t.diagnostic(JSON.stringify(await assertHolds(scenario, { ...byRedis, reaches: repliesInFewRuns })))
})

test(`Redis' shards decide like the model where the clock steps back too (SEED=${seed})`, async (t) => {
  const scenario = rightsScenario({ stepsBack: true, stepsMax: 60, releases: true })
  const reaches = [...repliesInFewRuns, 'released', 'released_again']
  t.diagnostic(JSON.stringify(await assertHolds(scenario, { ...byRedis, reaches })))
})

test(`Redis' shards decide like the model where a clock brings holds to life whose rights went on (SEED=${seed})`, async (t) => {
  const scenario = revivingScenario({ losses: false })
  const rare = { numRuns: 10 * runs, onlyWhere: 'short', reaches: ['short', 'cut'] }
  t.diagnostic(JSON.stringify(await assertHolds(scenario, { ...byRedis, ...rare })))
})

const breach = /^(?:ann|bob:1) has \d+ of \d+$/

test(`without the protocol of admission the same test finds somebody with more than the limit (SEED=${seed})`, async (t) => {
  const scenario = rightsScenario({ stepsBack: false, stepsMax: 120 })
  const { numRuns, message } = await findBreach(scenario, { ...byRedis, protocol: 'none', numRuns: 20 * runs })
  t.diagnostic(`after ${numRuns} runs`)
  assert.match(message ?? 'no assertion failed', breach)
})

const ann = { user: 0, item: 0, isStray: false, isLastWord: false }
const [passer, lender, third] = [0, 1, 2]

/** Of ann, whose home is shard 0, two of whose rights the shards 0 and 1 begin with. */
const forgottenTogether: readonly RightsStep[] = [
  {
    kind: 'batch',
    shard: passer,
    commands: [
      { kind: 'checkout', ...ann, messages: [] },
      { kind: 'purchase', offer: 0 },
    ],
  },
  { kind: 'save', shard: passer },
  { kind: 'batch', shard: lender, commands: [{ kind: 'lend', user: 0, to: passer, messages: [] }] },
  { kind: 'batch', shard: passer, commands: [{ kind: 'lend', user: 0, to: third, messages: [0] }] },
  { kind: 'batch', shard: third, commands: [{ kind: 'checkout', ...ann, messages: [1] }] },
  { kind: 'lose', shards: [passer, lender] },
  { kind: 'finish' },
  { kind: 'batch', shard: lender, commands: [{ kind: 'checkout', ...ann, messages: [] }] },
]

test('two shards that have forgotten what moved between them settle it before they go on', async () => {
  const scenario = { shards: 3, limit: 2, steps: forgottenTogether }
  const tally = new Tally()
  await play(scenario, { protocol: 'whole', real, tally })
  assert.deepEqual([tally.all['short'], tally.all['cut']], [1, undefined])
  assert.equal(tally.all['rights_elsewhere'], 1, 'the right that came back is where it was used')
  const message = 'ann has 3 of 2'
  await assert.rejects(play(scenario, { protocol: 'unsettled', real }), { name: 'AssertionError', message })
})

test(`without what is on record of a lost shard the same test finds somebody with more than the limit (SEED=${seed})`, async (t) => {
  const scenario = { kind: 'any', stepsBack: false, stepsMax: 120, losses: true } as const
  const withoutRecord = { protocol: 'unrecorded', drains: true, numRuns: 400 * runs } as const
  const { numRuns, message } = await findBreachAside({ ...byModel, scenario, ...withoutRecord })
  t.diagnostic(`after ${numRuns} runs`)
  assert.match(message ?? 'no assertion failed', breach)
})

/** bob's, whose home is shard 1: his right goes to 0 and on to 2, and both that it went through are lost. */
const declaredLostTogether: readonly RightsStep[] = [
  { kind: 'batch', shard: 1, commands: [{ kind: 'lend', user: 1, to: 0, messages: [] }] },
  { kind: 'round', user: 1, item: 10 },
  { kind: 'declare', shard: 0 },
  { kind: 'declare', shard: 1 },
]

for (const order of [
  [0, 1],
  [1, 0],
]) {
  test(`of two shards that are declared lost together ${order[0]} may come back first`, async () => {
    const steps: readonly RightsStep[] = order.flatMap((shard) => [
      { kind: 'rebuild', shard },
      { kind: 'finish' },
      { kind: 'batch', shard, commands: [{ kind: 'checkout', ...ann, user: 1, messages: [] }] },
    ])
    const tally = new Tally()
    const scenario = { shards: 4, limit: 1, steps: [...declaredLostTogether, ...steps] }
    await play(scenario, { protocol: 'whole', tally })
    assert.equal(tally.all['held'], 1)
  })
}

test('a hold whose right went elsewhere is cut off, where its shard forgot that and has a clock that is behind', async () => {
  const steps: readonly RightsStep[] = [
    { kind: 'batch', shard: 0, commands: [{ kind: 'checkout', ...ann, messages: [] }] },
    { kind: 'save', shard: 0 },
    { kind: 'clock', stepMs: holdMs },
    { kind: 'batch', shard: 0, commands: [{ kind: 'lend', user: 0, to: 1, messages: [] }] },
    { kind: 'batch', shard: 1, commands: [{ kind: 'checkout', ...ann, messages: [0] }] },
    { kind: 'lose', shards: [0] },
    { kind: 'clock', stepMs: -1 },
    { kind: 'finish' },
    { kind: 'batch', shard: 0, commands: [{ kind: 'purchase', offer: 0 }] },
  ]
  const scenario = { shards: 3, limit: 1, steps }
  const tally = new Tally()
  await play(scenario, { protocol: 'whole', real, tally })
  assert.deepEqual([tally.all['cut'], tally.all['code_expired'], tally.all['held']], [1, 1, 2])
  const message = 'ann has 2 of 1'
  await assert.rejects(play(scenario, { protocol: 'unsettled', real }), { name: 'AssertionError', message })
})

test('a hold that was released is cut off, where its shard forgot that and its right went elsewhere', async () => {
  const steps: readonly RightsStep[] = [
    { kind: 'batch', shard: 0, commands: [{ kind: 'checkout', ...ann, messages: [] }] },
    { kind: 'save', shard: 0 },
    {
      kind: 'batch',
      shard: 0,
      commands: [
        { kind: 'release', offer: 0 },
        { kind: 'lend', user: 0, to: 1, messages: [] },
      ],
    },
    { kind: 'batch', shard: 1, commands: [{ kind: 'checkout', ...ann, messages: [0] }] },
    { kind: 'lose', shards: [0] },
    { kind: 'finish' },
    { kind: 'batch', shard: 0, commands: [{ kind: 'purchase', offer: 0 }] },
  ]
  const scenario = { shards: 3, limit: 1, steps }
  const tally = new Tally()
  await play(scenario, { protocol: 'whole', real, tally })
  const { released, cut, held, code_expired } = tally.all
  assert.deepEqual({ released, cut, held, code_expired }, { released: 1, cut: 1, held: 2, code_expired: 1 })
  const message = 'ann has 2 of 1'
  await assert.rejects(play(scenario, { protocol: 'unsettled', real }), { name: 'AssertionError', message })
})

test('a hold that a clock has brought to life is cut off where it is, though another shard is short of its right', async () => {
  const bob = { ...ann, user: 1 }
  const steps: readonly RightsStep[] = [
    { kind: 'batch', shard: 1, commands: [{ kind: 'lend', user: 1, to: 0, messages: [] }] },
    { kind: 'batch', shard: 0, commands: [{ kind: 'checkout', ...bob, messages: [0] }] },
    { kind: 'save', shard: 0 },
    { kind: 'clock', stepMs: holdMs },
    { kind: 'batch', shard: 0, commands: [{ kind: 'lend', user: 1, to: 1, messages: [] }] },
    // From 1, which has it from 0.
    { kind: 'batch', shard: 1, commands: [{ kind: 'lend', user: 1, to: 2, messages: [1] }] },
    { kind: 'batch', shard: 2, commands: [{ kind: 'checkout', ...bob, messages: [2] }] },
    { kind: 'clock', stepMs: -1 },
    { kind: 'lose', shards: [1, 0] },
    { kind: 'finish' },
    { kind: 'batch', shard: 0, commands: [{ kind: 'purchase', offer: 0 }] },
    { kind: 'batch', shard: 2, commands: [{ kind: 'purchase', offer: 0 }] },
  ]
  const scenario = { shards: 4, limit: 1, steps }
  const tally = new Tally()
  await play(scenario, { protocol: 'whole', real, tally })
  assert.deepEqual([tally.all['cut'], tally.all['code_expired'], tally.all['purchased']], [1, 1, 1])
  const message = 'bob:1 has 2 of 1'
  await assert.rejects(play(scenario, { protocol: 'unsettled', real }), { name: 'AssertionError', message })
})

test('a shard that was declared lost is not taken to have lent what a clock has brought to life', async () => {
  const steps: readonly RightsStep[] = [
    { kind: 'round', user: 0, item: 1 },
    { kind: 'save', shard: 1 },
    { kind: 'clock', stepMs: holdMs },
    { kind: 'round', user: 0, item: 0 },
    { kind: 'lose', shards: [1] },
    { kind: 'declare', shard: 2 },
    { kind: 'clock', stepMs: -1 },
    { kind: 'finish' },
  ]
  const tally = new Tally()
  await play({ shards: 3, limit: 1, steps }, { protocol: 'whole', tally })
  assert.deepEqual([tally.all['held'], tally.all['cut'], tally.all['owed']], [2, 1, undefined])
})
