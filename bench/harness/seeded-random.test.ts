import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from './seeded-random.ts'

function drawn(seed: number): number[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: 5 }, () => random.next())
}

test('the same seed draws the same, another one something else', () => {
  assert.deepEqual(drawn(1), drawn(1))
  assert.notDeepEqual(drawn(1), drawn(2))
  for (const seed of [0, 3, -7, 4_294_967_295, 123_456_789_012]) {
    assert.ok(
      drawn(seed).every((value) => value >= 0 && value < 1),
      String(seed),
    )
  }
})

test('neighbouring seeds, which connections and rounds have, begin with numbers that have nothing in common', () => {
  const [seeds, places] = [16_384, 64]
  const pairs = new Map<number, number>()
  let before = new SeededRandom(0).below(places)
  for (let seed = 1; seed <= seeds; seed++) {
    const place = new SeededRandom(seed).below(places)
    const pair = before * places + place
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
    before = place
  }
  // Of 4,096 pairs of places, four times each: about 75 never (e^-4 of them), and none much more often.
  const never = places ** 2 - pairs.size
  assert.ok(never > 30 && never < 150, `${never} pairs never`)
  assert.ok(Math.max(...pairs.values()) < 20)
})

test('a choice is one of those there are, and what is between two numbers takes in both', () => {
  const random = new SeededRandom(1)
  const picks = Array.from({ length: 200 }, () => random.pick(['a', 'b', 'c']))
  assert.deepEqual(new Set(picks), new Set(['a', 'b', 'c']))
  const numbers = Array.from({ length: 200 }, () => random.between(3, 5))
  assert.deepEqual(new Set(numbers), new Set([3, 4, 5]))
  assert.throws(() => random.pick([]), RangeError)
})
