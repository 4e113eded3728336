import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../../../core/faults.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import { LogRoom } from './log-room.ts'
import { LogWatch } from './log-watch.ts'
import { RedisClock } from './redis-clock.ts'
import { RunGate } from './run-gate.ts'

function watchOf(logState: () => Promise<LogState>): LogWatch {
  return new LogWatch({
    store: { logState, memoryShare: () => Promise.resolve(0) },
    clock: new RedisClock(),
    gate: new RunGate({ isUp: true, run: 'a run' }),
    room: new LogRoom({ backlogMax: 1, onChange: () => undefined }),
    afterEach: () => Promise.resolve(),
  })
}

test('a fault of Redis is what the last look came to', async () => {
  const watch = watchOf(() => Promise.reject(new Fault('HC_REDIS_REFUSED', 'no')))
  await watch.look()
  assert.equal(watch.fault, 'HC_REDIS_REFUSED')
})

test('a bug is no fault of Redis: it ends the watching, and with it the worker', async () => {
  const bug = new TypeError('a bug')
  const watch = watchOf(() => Promise.reject(bug))
  await assert.rejects(watch.run(), bug)
  assert.equal(watch.fault, undefined)
})
