import assert from 'node:assert/strict'
import { test } from 'node:test'

import { crashBudgetDeaths, crashBudgetWindowMs, restartDelayMsMax, restartDelayMsMin } from '../../core/limits.ts'
import { CrashHistory, restartDelayMs } from './restart-policy.ts'

test('each death in a row doubles the wait for the replacement, up to a bound', () => {
  assert.equal(restartDelayMs(1), restartDelayMsMin)
  assert.equal(restartDelayMs(2), restartDelayMsMin * 2)
  assert.equal(restartDelayMs(4), restartDelayMsMin * 8)
  assert.equal(restartDelayMs(1_000), restartDelayMsMax)
})

test('deaths of one kind do not slow down the replacement of the other', () => {
  const history = new CrashHistory()
  for (let death = 0; death < 5; death++) history.record('persister', death)
  assert.equal(history.record('http', 5), restartDelayMsMin)
})

test('a death that left the window no longer counts, neither for the wait nor for the budget', () => {
  const history = new CrashHistory()
  for (let death = 0; death < crashBudgetDeaths; death++) history.record('http', 0)
  assert.equal(history.record('http', crashBudgetWindowMs), restartDelayMsMin)
  assert.equal(history.isBudgetSpent, false)
})

test('one death more than the budget allows spends it, whatever kinds died', () => {
  const history = new CrashHistory()
  for (let death = 0; death < crashBudgetDeaths; death++) history.record(death % 2 ? 'http' : 'persister', death)
  assert.equal(history.isBudgetSpent, false)
  history.record('http', crashBudgetDeaths)
  assert.equal(history.isBudgetSpent, true)
})
