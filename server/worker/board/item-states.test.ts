import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ItemStates } from './item-states.ts'

test('each change is told once, as the distance to the one before it and the state', () => {
  const states = new ItemStates(1_000)
  states.hold(3, 100)
  states.hold(900, 100)
  states.sell(3)
  assert.deepEqual([...states.takeChanges()], [3 * 4 + 2, ((897 * 4 + 1) & 127) | 128, (897 * 4 + 1) >> 7])
  assert.equal(states.takeChanges().length, 0)
  assert.deepEqual([states.held, states.sold], [1, 1])
})

test('what is held is available again at its expiry, and what is sold stays so', () => {
  const states = new ItemStates(4)
  for (const index of [1, 2, 3]) states.hold(index, 10 * index)
  states.sell(1)
  states.expire(19)
  assert.deepEqual([states.held, states.sold, states.firstExpiryMs], [2, 1, 20])
  states.expire(20)
  assert.deepEqual([...states.pack()], [2 | (0 << 2) | (1 << 4)])
  states.expire(30)
  assert.deepEqual([...states.pack()], [2])
  assert.equal(states.firstExpiryMs, undefined)
})

test('what is released is available at once', () => {
  const states = new ItemStates(4)
  states.hold(2, 100)
  states.takeChanges()
  states.release(2)
  assert.deepEqual([states.held, states.sold], [0, 0])
  assert.deepEqual([...states.takeChanges()], [2 * 4])
})

test('items beyond those shown count and are not told of', () => {
  const states = new ItemStates(10, 4)
  states.hold(4, 100)
  states.hold(5, 100)
  assert.equal(states.held, 2)
  assert.deepEqual([...states.takeChanges()], [4 * 4 + 1])
  assert.equal(states.pack().length, 1)
})
