import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Phase } from './phase.ts'

test('a phase goes only forward: what retires when its primary dies stops, and stays stopping', () => {
  const phase = new Phase()
  assert.deepEqual([phase.name, phase.isDraining], ['serving', false])
  phase.move('retiring')
  assert.deepEqual([phase.name, phase.isDraining], ['retiring', false])
  phase.move('stopping')
  for (const late of ['retiring', 'draining', 'serving'] as const) phase.move(late)
  assert.deepEqual([phase.name, phase.isDraining], ['stopping', true])
})
