import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { userIdLengthMax } from './ids.ts'
import { baseRights, homeShard } from './rights.ts'
import { shardNumbers } from './shards.ts'

test("a buyer's home is the first eight hex digits that sha1sum gives for the id, modulo the shards", () => {
  // printf %s ann | sha1sum
  const vectors = [
    ['ann', '744cb9a9'],
    ['bob:1', 'b1ef5abd'],
    ['c@d.e', 'd22c59c8'],
    ['0', 'b6589fc6'],
    ['A'.repeat(64), '30b86e44'],
    ['A'.repeat(userIdLengthMax), '2f6b0377'],
  ] as const
  for (const [user, digits] of vectors)
    for (let shards = 1; shards <= 64; shards++)
      assert.equal(homeShard(user, shards), Number.parseInt(digits, 16) % shards, `${user} of ${shards}`)
})

test('homes that are on record stay where they are', () => {
  const homes = [
    ['ann', [1, 0, 1, 1, 3, 1, 1, 41]],
    ['bob:1', [1, 2, 1, 0, 5, 0, 5, 61]],
    ['c@d.e', [0, 0, 0, 3, 0, 0, 0, 8]],
  ] as const
  for (const [user, expected] of homes)
    assert.deepEqual(
      [2, 3, 4, 5, 6, 7, 8, 64].map((shards) => homeShard(user, shards)),
      expected,
      user,
    )
})

test('the rights that the shards begin with add up to the limit, and differ by one at most', () => {
  for (let limit = 1; limit <= 20; limit++)
    for (let shards = 1; shards <= 8; shards++)
      for (let home = 0; home < shards; home++) {
        const rights = shardNumbers(shards).map((shard) => baseRights({ limit, shards, shard, home }))
        assert.equal(
          rights.reduce((total, each) => total + each, 0),
          limit,
        )
        assert.ok(Math.max(...rights) - Math.min(...rights) <= 1)
        assert.equal(rights[home], Math.max(...rights), 'home is the first to have one more')
      }
})

test('homes are spread evenly', () => {
  const shards = 6
  const counts = shardNumbers(shards).map(() => 0)
  for (let n = 0; n < 6_000; n++) {
    const home = homeShard(`user-${n}`, shards)
    counts[home] = (counts[home] ?? 0) + 1
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, counts.join(', '))
})

test('of one shard it is the home, with all rights', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: userIdLengthMax }),
      fc.integer({ min: 1, max: 100 }),
      (user, limit) => {
        assert.equal(homeShard(user, 1), 0)
        assert.equal(baseRights({ limit, shards: 1, shard: 0, home: 0 }), limit)
      },
    ),
  )
})
