import assert from 'node:assert/strict'
import { test } from 'node:test'

import { largeFileBurstBytes, largeFileBytesPerSecond } from '../limits.ts'
import { SendBudget } from './send-budget.ts'

const fileBytes = 2 ** 20
const sent = (budget: SendBudget, nowMs: number) => {
  let count = 0
  while (budget.takes(nowMs, fileBytes)) count += 1
  return count * fileBytes
}

test('a large file is sent as often as the burst allows, and then at its rate', () => {
  for (const startMs of [0, 1234.567, 98_765.432_1]) assert.equal(sent(new SendBudget(), startMs), largeFileBurstBytes)
  const budget = new SendBudget()
  assert.equal(sent(budget, 0), largeFileBurstBytes)
  assert.equal(sent(budget, 1_000), largeFileBytesPerSecond)
  assert.equal(sent(budget, 3_600_000), largeFileBurstBytes, 'it saves up no more than the burst')
})
