import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QueueBound } from './queue-bound.ts'

test('as many may wait as are done in the time, between the two ends', () => {
  const bound = new QueueBound({ waitMs: 100, least: 10, most: 1_000 })
  assert.equal(bound.commands, 1_000, 'nothing is known yet')
  bound.observe(50, { ms: 50, callMs: 0 })
  assert.equal(bound.commands, 100)
  for (let batch = 0; batch < 100; batch++) bound.observe(50, { ms: 1, callMs: 0 })
  assert.equal(bound.commands, 1_000)
  for (let batch = 0; batch < 100; batch++) bound.observe(50, { ms: 5_000, callMs: 0 })
  assert.equal(bound.commands, 10)
})

test('one slow batch does not decide, twenty do', () => {
  const bound = new QueueBound({ waitMs: 100, least: 10, most: 10_000 })
  for (let batch = 0; batch < 10; batch++) bound.observe(100, { ms: 10, callMs: 0 })
  assert.equal(bound.commands, 1_000)
  bound.observe(100, { ms: 30, callMs: 0 })
  assert.ok(bound.commands > 750)
  for (let batch = 0; batch < 20; batch++) bound.observe(100, { ms: 30, callMs: 0 })
  assert.ok(bound.commands < 400)
})

test('what a call takes is taken off the time', () => {
  const bound = new QueueBound({ waitMs: 100, least: 10, most: 1_000 })
  for (let batch = 0; batch < 100; batch++) bound.observe(50, { ms: 50, callMs: 60 })
  assert.equal(bound.commands, 40)
  for (let batch = 0; batch < 100; batch++) bound.observe(50, { ms: 50, callMs: 600 })
  assert.equal(bound.commands, 10)
})

test('answers that took no time at all leave the most', () => {
  const bound = new QueueBound({ waitMs: 100, least: 10, most: 1_000 })
  bound.observe(100, { ms: 0, callMs: 0 })
  assert.equal(bound.commands, 1_000)
})
