import assert from 'node:assert/strict'
import { test } from 'node:test'

import { rateLimitKeysMax } from '../limits.ts'
import { RateLimit } from './rate-limit.ts'

const mine = 'mine'
const other = 'other'

const addressOf = (n: number) => String(n)

const taken = (limit: RateLimit, requests: number, nowMs: number, address = mine) =>
  Array.from({ length: requests }, () => limit.takes(address, nowMs)).filter(Boolean).length

test('an address may ask so often at once, and gets one more request for each part of a second', () => {
  const limit = new RateLimit(10, 'address')
  assert.equal(taken(limit, 100, 0), 10)
  assert.equal(taken(limit, 100, 99), 0)
  assert.equal(taken(limit, 100, 100), 1)
  assert.equal(taken(limit, 100, 600), 5)
  assert.equal(taken(limit, 100, 5_000), 10, 'it saves up no more than a second')
})

test('what is refused does not count, and one address does not use up what another one has', () => {
  const limit = new RateLimit(10, 'address')
  assert.equal(taken(limit, 1_000, 0), 10)
  assert.equal(taken(limit, 10, 0, other), 10)
  assert.equal(taken(limit, 10, 1_000), 10)
})

test('over a long time an address gets its rate, however often it asks', () => {
  const limit = new RateLimit(7, 'address')
  let requests = 0
  for (let nowMs = 0; nowMs < 60_000; nowMs += 13) requests += taken(limit, 5, nowMs)
  assert.ok(requests >= 60 * 7 && requests <= 61 * 7, `${requests}`)
})

test('more addresses than are kept do not stop it, and the latest ones stay limited', () => {
  const limit = new RateLimit(1, 'address')
  for (let n = 0; n < rateLimitKeysMax * 3; n++) assert.equal(limit.takes(addressOf(n), 0), true)
  assert.equal(limit.takes(addressOf(rateLimitKeysMax * 3 - 1), 0), false)
})
