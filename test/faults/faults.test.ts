// Goal: whatever breaks under a sale, every promise holds, and the server goes on by itself.
// Method: a few rounds of `npm run test:faults`, each with the next seed, so that each meets the next kind of fault.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seed } from '../helpers/seed.ts'
import { possibleAcks, possibleKinds } from './command.ts'
import { faultNames } from './faults.ts'
import { runSeries } from './series.ts'
import { Tally } from './tally.ts'

const rounds = 3
const shards = 3
/** Of one Redis alone; as many for each round as an arena of all its rounds has. What is left at the end is sold one by one. */
const items = 2_400

for (const count of [1, shards]) {
  test(`${rounds} rounds of faults break no promise of a sale of ${count} shards (SEED=${seed})`, async (t) => {
    const tally = new Tally(count)
    const say = (lines: readonly string[]) => {
      for (const line of lines) t.diagnostic(line)
    }
    await runSeries({
      seed,
      rounds,
      shards: count,
      ...(count === 1 ? { items } : {}),
      kinds: possibleKinds(count),
      acks: possibleAcks(count),
      onRound: (report) => say(tally.round(report)),
      onFailure: (failure) => say(tally.failure(failure)),
    })
    assert.ok(tally.isClean, tally.summary().join('\n'))
  })
}

const possible = new Set([...possibleKinds(1), ...possibleKinds(shards)])
for (const name of faultNames) {
  if (!possible.has(name)) test(`${name} can be done`, { skip: 'this machine can not' })
}
