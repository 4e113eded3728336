import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../../core/log-position.ts'
import { firstShard } from '../../core/shards.ts'
import { SeenPositions } from './seen-positions.ts'

function child() {
  const asked: string[] = []
  return { asked, send: ({ type }: { type: string }) => void asked.push(type) }
}

test('the newest of what all children say counts, also of those that are gone', () => {
  const seen = new SeenPositions(firstShard)
  for (const id of ['1-5', '1-9', '1-7', undefined]) seen.heard(id === undefined ? id : parseLogPosition(id))
  assert.deepEqual(seen.newest, { epoch: 1, seq: 9 })
})

test('it is gathered when every child that was asked has told, or is gone', async () => {
  const seen = new SeenPositions(firstShard)
  const [one, other] = [child(), child()]
  let isGathered = false
  const gathered = seen.gather([one, other]).then((newest) => {
    isGathered = true
    return newest
  })
  assert.deepEqual([one.asked, other.asked], [['seen'], ['seen']])
  seen.heard({ epoch: 1, seq: 4 })
  seen.hasAnswered(one)
  seen.hasAnswered(one)
  await Promise.resolve()
  assert.equal(isGathered, false)
  seen.hasAnswered(other)
  assert.deepEqual(await gathered, { epoch: 1, seq: 4 })
})

test('a child that hangs holds nothing up for ever: what was heard of it counts', async () => {
  const seen = new SeenPositions(firstShard)
  seen.heard({ epoch: 1, seq: 4 })
  assert.deepEqual(await seen.gather([child()]), { epoch: 1, seq: 4 })
  assert.deepEqual(await seen.gather([]), { epoch: 1, seq: 4 })
})
