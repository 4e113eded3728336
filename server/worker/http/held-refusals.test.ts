import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { refusalHoldMsMax, refusalsHeldMax, refusalsPerSecondMax, refusalTickMs } from '../limits.ts'
import { HeldRefusals } from './held-refusals.ts'

/** Refusals on a clock that the test moves; who was answered, in the order of the answers. */
function heldOnClock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const answered: number[] = []
  const refusals = new HeldRefusals(() => nowMs)
  let arrivals = 0
  return {
    refusals,
    answered,
    arrive: (count: number) => {
      for (let n = 0; n < count; n++) {
        const place = arrivals++
        refusals.hold({ reply: ({ head }) => answered.push(head.status === 503 ? place : Number.NaN) }, 'overloaded')
      }
    },
    pass: (ms: number) => {
      for (let passed = 0; passed < ms; passed += refusalTickMs) {
        nowMs += refusalTickMs
        t.mock.timers.tick(refusalTickMs)
      }
    },
  }
}

const perTick = (refusalsPerSecondMax * refusalTickMs) / 1_000

test('refusals leave at their rate, in the order of arrival', (t) => {
  const { refusals, answered, arrive, pass } = heldOnClock(t)
  arrive(10 * perTick)
  assert.deepEqual(answered, [], 'not even one at once')
  pass(refusalTickMs)
  assert.equal(answered.length, perTick)
  pass(3 * refusalTickMs)
  arrive(perTick)
  assert.equal(answered.length, 4 * perTick)
  pass(20 * refusalTickMs)
  assert.equal(refusals.count, 0)
  assert.deepEqual(
    answered,
    Array.from({ length: 11 * perTick }, (_, place) => place),
  )
})

test('a time without refusals saves nothing up for the next crowd', (t) => {
  const { answered, arrive, pass } = heldOnClock(t)
  arrive(1)
  pass(100 * refusalTickMs)
  arrive(10 * perTick)
  pass(refusalTickMs)
  assert.equal(answered.length, 1 + perTick)
})

test('nobody waits longer than the bound, however many have come', (t) => {
  const { refusals, answered, arrive, pass } = heldOnClock(t)
  arrive(refusalsHeldMax)
  pass(refusalHoldMsMax - refusalTickMs)
  assert.ok(answered.length < refusalsHeldMax)
  pass(refusalTickMs)
  assert.equal(answered.length, refusalsHeldMax)
  assert.equal(refusals.count, 0)
})

test('above the bound, and for what is no flood, none is taken', (t) => {
  const { refusals, arrive, pass } = heldOnClock(t)
  assert.ok(refusals.takes('overloaded') && refusals.takes('backlog_full') && refusals.takes('memory_full'))
  for (const reason of ['redis_down', 'record_unsound', 'shutting_down', 'late'] as const)
    assert.ok(!refusals.takes(reason), reason)
  arrive(refusalsHeldMax)
  assert.ok(!refusals.takes('overloaded'))
  pass(refusalTickMs)
  assert.ok(refusals.takes('overloaded'))
})

test('released, all are answered at once, and those that come later wait again', (t) => {
  const { refusals, answered, arrive, pass } = heldOnClock(t)
  arrive(3 * perTick)
  refusals.release()
  assert.equal(answered.length, 3 * perTick)
  arrive(2 * perTick)
  pass(refusalTickMs)
  assert.equal(answered.length, 4 * perTick)
})
