// Goal: whatever breaks under a sale, every promise holds, and the server goes on by itself.
// Method: a few rounds of `npm run test:faults`, each with the next seed, so that each meets the next kind of fault.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seed } from '../helpers/seed.ts'
import { acks, possibleKinds } from './command.ts'
import { faultNames } from './faults.ts'
import { runSeries } from './series.ts'
import { Tally } from './tally.ts'

const rounds = 5

test(`${rounds} rounds of faults break no promise (SEED=${seed})`, async (t) => {
  const tally = new Tally()
  const say = (lines: readonly string[]) => {
    for (const line of lines) t.diagnostic(line)
  }
  await runSeries({
    seed,
    rounds,
    kinds: possibleKinds(),
    acks,
    onRound: (report) => say(tally.round(report)),
    onFailure: (failure) => say(tally.failure(failure)),
  })
  assert.ok(tally.isClean, tally.summary().join('\n'))
})

for (const name of faultNames) {
  if (!possibleKinds().includes(name)) test(`${name} can be done`, { skip: 'this machine can not' })
}
