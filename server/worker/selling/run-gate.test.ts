import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../../../core/log-position.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import { RunGate } from './run-gate.ts'

const run = 'this-run'
const store = { isUp: true, run }

function state(last: string, change: Partial<LogState> = {}): LogState {
  const log = { nowMs: 1, backlogEntries: 0, lagSeconds: 0, last: parseLogPosition(last), persister: undefined }
  return { ...log, epoch: 1, admittedRun: run, recordId: 'ours', ...change }
}

test('a run that was admitted is sold from, one that was not is not', () => {
  const gate = new RunGate(store)
  assert.equal(gate.isSound, true, 'Redis itself refuses until somebody has looked')
  gate.looked(state('1-5', { admittedRun: 'another-run' }), gate.seen)
  assert.equal(gate.isSound, false)
  gate.looked(state('1-5'), gate.seen)
  assert.equal(gate.isSound, true)
  gate.looked(state('1-5', { epoch: undefined }), gate.seen)
  assert.equal(gate.isSound, false)
})

test('a connection that leads to another run is not sold from before somebody has looked', () => {
  const moving = { isUp: true, run }
  const gate = new RunGate(moving)
  gate.looked(state('1-5'), gate.seen)
  moving.isUp = false
  moving.run = 'a-later-run'
  moving.isUp = true
  assert.equal(gate.isSound, false)
  gate.looked(state('1-5', { admittedRun: 'a-later-run' }), gate.seen)
  assert.equal(gate.isSound, true)
})

test('a run that the primary refuses is not sold from, although another server has admitted it', () => {
  const gate = new RunGate(store)
  gate.looked(state('1-5'), gate.seen)
  gate.primarySays({ status: 'refused', fault: 'HC_REDIS_UNSUITABLE' })
  assert.equal(gate.isSound, false)
  gate.looked(state('1-6'), gate.seen)
  assert.equal(gate.isSound, false)
  gate.primarySays({ status: 'sound' })
  assert.equal(gate.isSound, true)
})

test('a batch that Redis refused closes the gate until the next look finds it sound', () => {
  const gate = new RunGate(store)
  gate.refused()
  assert.equal(gate.isSound, false)
  gate.looked(state('1-5'), gate.seen)
  assert.equal(gate.isSound, true)
})

test('a Redis that decides what it had decided before has forgotten something: its answer is not given', () => {
  const gate = new RunGate(store)
  gate.decided('1-9')
  gate.decided('1-10')
  assert.throws(() => gate.decided('1-10'), { code: 'HC_LOG_LOST' })
  assert.equal(gate.isSound, false)
  gate.looked(state('1-9'), gate.seen)
  assert.equal(gate.isSound, false, 'the run is admitted, but lacks what was answered')
  gate.looked(state('2-0', { epoch: 2 }), gate.seen)
  assert.equal(gate.isSound, true)
  gate.decided('2-1')
  assert.deepEqual(gate.seen, { epoch: 2, seq: 1 })
})

test('data that name their run are not sold from while the primary knows of a later epoch', () => {
  const gate = new RunGate(store)
  gate.primarySays({ status: 'sound', epoch: { number: 2, after: parseLogPosition('1-5') } })
  gate.looked(state('1-5'), gate.seen)
  assert.equal(gate.isSound, false)
  gate.looked(state('2-0', { epoch: 2 }), gate.seen)
  assert.equal(gate.isSound, true)
})

test('what was answered while Redis was asked proves nothing', () => {
  const gate = new RunGate(store)
  gate.decided('1-3')
  const { seen } = gate
  gate.decided('1-4')
  gate.looked(state('1-3'), seen)
  assert.equal(gate.isSound, true)
})

test('it leads to the wrong Redis when the primary has found another one sound, or says that this one was replaced', () => {
  const gate = new RunGate(store)
  const looked = (admittedRun: string) => gate.looked(state('1-5', { admittedRun }), gate.seen)
  assert.equal(gate.isMisled, false)
  looked('another')
  assert.equal(gate.isMisled, false, 'nobody says that any Redis decides')
  gate.primarySays({ status: 'sound' })
  assert.equal(gate.isMisled, true)
  gate.primarySays({ status: 'refused', fault: 'HC_RECORD_FOREIGN' })
  assert.equal(gate.isMisled, false)
  gate.primarySays({ status: 'refused', fault: 'HC_RUN_REPLACED' })
  assert.equal(gate.isMisled, true)
  gate.primarySays({ status: 'sound' })
  looked(run)
  assert.equal(gate.isMisled, false)
})

test('without a connection nobody knows of which run Redis is', () => {
  const gate = new RunGate({ isUp: false, run: '' })
  gate.looked(state('1-5', { admittedRun: '' }), gate.seen)
  assert.equal(gate.isSound, false)
})

test('a batch that is held back counts as seen only when it is answered', () => {
  const gate = new RunGate(store, { holdsBack: true })
  gate.decided('1-6')
  gate.decided('1-7')
  assert.equal(gate.seen, undefined)
  gate.answered('1-6')
  assert.deepEqual(gate.seen, { epoch: 1, seq: 6 })
  gate.looked(state('1-6'), gate.seen)
  assert.equal(gate.isSound, true, 'nobody was told of 1-7')
  assert.throws(() => gate.decided('1-7'), { code: 'HC_LOG_LOST' })
})
