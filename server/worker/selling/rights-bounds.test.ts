import assert from 'node:assert/strict'
import { test } from 'node:test'

import { rightsSeekersMax, rightsSeekersPerBuyerMax } from '../../../core/limits.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import { RightsRounds } from './rights-rounds.ts'

/** Searches over shards that never answer. `asked`: how often any was asked. */
function setUp(shardsOfSale: number | undefined) {
  const counts = { asked: 0 }
  const shards = [0, 1, 2].map((number): SellingShard => {
    return { number, refusal: () => undefined, batcher: { offerAgain: () => (counts.asked += 1) } }
  })
  const rounds = new RightsRounds({
    shards,
    directory: { shardsOf: () => shardsOfSale },
    now: () => 0,
    metrics: { rightsAsked: () => undefined, rightsRound: () => undefined },
    onUnlisted: () => undefined,
  })
  /** What the checkout is answered at once; '' nothing. */
  const seek = (user: string, sale = 1): string => {
    let answer = ''
    const say = (what: string) => void (answer += what)
    const [shard] = shards as [SellingShard]
    const command = { sale, index: '1', nonce: 'n'.repeat(16), user, arrivedMs: 0, shard }
    const ends = { decided: () => say('decided'), failed: () => say('failed'), late: () => say('late') }
    rounds.seek({ ...command, ...ends, shed: say, unavailable: () => say('unavailable') } satisfies BuyerCommand)
    return answer
  }
  return { rounds, counts, seek }
}

test('a buyer has one search at a time, other buyers and other sales of his have their own', () => {
  const { rounds, counts, seek } = setUp(2)
  for (const [user, sale] of [
    ['ann', 1],
    ['ann', 1],
    ['bob', 1],
    ['ann', 2],
  ] as const)
    assert.equal(seek(user, sale), '')
  assert.equal(rounds.seekers, 4)
  const once = counts.asked
  seek('ann', 2)
  assert.equal(counts.asked, once)
})

test('one buyer has a bounded number of checkouts that wait, and all have another', () => {
  const { rounds, seek } = setUp(3)
  for (let n = 0; n <= rightsSeekersPerBuyerMax; n++) assert.equal(seek('greedy'), '')
  assert.equal(seek('greedy'), 'overloaded')
  for (let n = rounds.seekers; n < rightsSeekersMax; n++) assert.equal(seek(`user-${n}`), '')
  assert.equal(seek('another'), 'overloaded')
  assert.equal(rounds.seekers, rightsSeekersMax)
})

test('without the terms of the sale nobody is asked', () => {
  const { rounds, counts, seek } = setUp(undefined)
  assert.equal(seek('ann'), 'unavailable')
  assert.deepEqual([rounds.seekers, counts.asked], [0, 0])
})
