import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NonceSource } from '../../../core/ids.ts'
import { retryAfterSecondsMax, retryAfterSecondsMin } from '../limits.ts'
import { checkoutBody, jitteredWaitSeconds, purchaseBody, retryAfterHeader, Timestamps } from './replies.ts'

test('the concatenated bodies are the JSON that a serializer would write', () => {
  const nonces = new NonceSource()
  const users = ['a', 'u'.repeat(64), '._:@-._:@-', '0', 'null', 'constructor', 'AZaz09']
  for (const user of users) {
    for (const [sale, index] of [
      [0, '0'],
      [498_733, '10000'],
      [999_999_999_999_999, '9'.repeat(15)],
    ] as const) {
      const nonce = nonces.next()
      const at = '2026-11-23T13:02:14.538Z'
      const held = checkoutBody({ sale, index, nonce, expiresAt: at })
      const code = `${sale}-${index}-${nonce}`
      assert.equal(held, JSON.stringify({ code, item_id: `${sale}-${index}`, sale_id: sale, expires_at: at }))
      const purchased = purchaseBody({ sale, index, user, purchasedAt: at })
      const item = { item_id: `${sale}-${index}`, sale_id: sale }
      assert.equal(purchased, JSON.stringify({ status: 'purchased', ...item, user_id: user, purchased_at: at }))
    }
  }
})

test('timestamps are RFC 3339 in UTC, and the remembered one is never given for another moment', () => {
  const timestamps = new Timestamps()
  for (const ms of [0, 0, 1_795_438_934_538, 1_795_438_934_539, 1_795_438_934_539, 0]) {
    assert.equal(timestamps.format(ms), new Date(ms).toISOString())
  }
  assert.equal(timestamps.format(1_795_438_934_538), '2026-11-23T13:02:14.538Z')
})

test('Retry-After is rounded up to whole seconds, and never 0', () => {
  const seconds = [-5, 0, 1, 999, 1_000, 1_001, 600_000].map((ms) => retryAfterHeader(ms))
  assert.deepEqual(
    seconds,
    [1, 1, 1, 1, 1, 2, 600].map((wait) => `\r\nRetry-After: ${wait}`),
  )
})

test('the wait after a 503 varies over all whole seconds between its bounds', () => {
  const waits = new Set(Array.from({ length: 1_000 }, () => jitteredWaitSeconds()))
  const all = Array.from(
    { length: retryAfterSecondsMax - retryAfterSecondsMin + 1 },
    (_, n) => retryAfterSecondsMin + n,
  )
  assert.deepEqual(
    [...waits].toSorted((a, b) => a - b),
    all,
  )
})
