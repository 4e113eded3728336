import assert from 'node:assert/strict'
import { test } from 'node:test'

import { badAddressesMax, badSignaturesMax, badSignatureWindowMs, verificationMsPerSecondMax } from '../limits.ts'
import { VerificationBudget } from './verification-budget.ts'

const costMs = 0.2

/** How many of so many are taken, a hundred a millisecond. */
function taken(budget: VerificationBudget, address: string, { fromMs, ms }: { fromMs: number; ms: number }): number {
  let count = 0
  for (let at = 0; at < ms * 100; at++) if (budget.takes(address, costMs, fromMs + at / 100)) count += 1
  return count
}

function suspect(budget: VerificationBudget, address: string, nowMs: number): void {
  for (let n = 0; n < badSignaturesMax; n++) budget.sentBadSignature(address, nowMs)
}

test('checking takes its part of a core, over any time that is long enough', () => {
  const budget = new VerificationBudget({ areAddressesTold: true })
  taken(budget, 'a', { fromMs: 0, ms: 2_000 })
  const count = taken(budget, 'a', { fromMs: 2_000, ms: 5_000 })
  const share = (count * costMs) / 5_000
  assert.ok(Math.abs(share - verificationMsPerSecondMax / 1_000) < 0.02, `${share}`)
})

test('addresses that send bad signatures have a small part of it, all of them together', () => {
  const budget = new VerificationBudget({ areAddressesTold: true })
  for (const address of ['bad', 'worse']) suspect(budget, address, 0)
  taken(budget, 'bad', { fromMs: 0, ms: 1_000 })
  const count =
    taken(budget, 'bad', { fromMs: 1_000, ms: 5_000 }) + taken(budget, 'worse', { fromMs: 6_000, ms: 5_000 })
  assert.ok((count * costMs) / 10_000 < 0.03, `${count}`)
  assert.ok(taken(budget, 'good', { fromMs: 11_000, ms: 10 }) > 900, 'and others find the rest')
})

test('a few bad signatures do no harm, and many are forgotten in time', () => {
  const budget = new VerificationBudget({ areAddressesTold: true })
  for (let n = 1; n < badSignaturesMax; n++) budget.sentBadSignature('a', 0)
  assert.ok(taken(budget, 'a', { fromMs: 0, ms: 10 }) > 900)
  suspect(budget, 'a', 10)
  assert.ok(taken(budget, 'a', { fromMs: 1_000, ms: 10 }) < 200)
  assert.ok(taken(budget, 'a', { fromMs: 2 * badSignatureWindowMs + 2_000, ms: 10 }) > 900)
})

test('where all clients have one address it says nothing of them', () => {
  const budget = new VerificationBudget({ areAddressesTold: false })
  suspect(budget, 'proxy', 0)
  assert.ok(taken(budget, 'proxy', { fromMs: 1_000, ms: 10 }) > 900)
})

test('of more addresses than are kept the latest ones are known', () => {
  const budget = new VerificationBudget({ areAddressesTold: true })
  for (let n = 0; n < badAddressesMax * 3; n++) budget.sentBadSignature(String(n), 0)
  suspect(budget, 'latest', 0)
  taken(budget, 'latest', { fromMs: 0, ms: 100 })
  assert.ok(taken(budget, 'latest', { fromMs: 100, ms: 10 }) < 200)
})

test('a key that costs more than may be saved up is used once in a while', () => {
  const budget = new VerificationBudget({ areAddressesTold: true })
  const count = Array.from({ length: 10_000 }, (_, ms) => budget.takes('a', 1_000, ms)).filter(Boolean).length
  assert.ok(count >= 3 && count <= 5, `${count}`)
})
