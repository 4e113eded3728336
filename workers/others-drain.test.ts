import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../core/faults.ts'
import type { LogState } from '../core/redis/sale-store.ts'
import { OthersDrain } from './others-drain.ts'

const other = { host: 'another', pid: 1, state: 'active', position: { epoch: 1, seq: 9 } }

function drainWhere(said: object): Promise<boolean> {
  const state = { last: { epoch: 1, seq: 9 }, admittedRun: 'run', persister: other, ...said } as unknown as LogState
  return new OthersDrain({ run: 'run', logState: () => Promise.resolve(state) }).hasReachedEnd()
}

test('another persister that is active, at the end of the log, has put it on record', async () => {
  assert.ok(await drainWhere({}))
  assert.ok(!(await drainWhere({ last: { epoch: 1, seq: 10 } })))
  assert.ok(!(await drainWhere({ persister: undefined })))
  assert.ok(!(await drainWhere({ persister: { ...other, state: 'standby' } })))
})

test('nothing is believed of a Redis that took the place of the admitted one, or of another epoch', async () => {
  assert.ok(!(await drainWhere({ admittedRun: 'before' })))
  assert.ok(!(await drainWhere({ admittedRun: undefined })))
  assert.ok(!(await drainWhere({ persister: { ...other, position: { epoch: 2, seq: 10 } } })))
  const away = { run: 'run', logState: () => Promise.reject(new Fault('HC_REDIS_UNAVAILABLE', 'away')) }
  assert.ok(!(await new OthersDrain(away).hasReachedEnd()))
})

test('the end is the one that the log had when it was first asked for', async () => {
  const ends = [9, 20]
  const logState = () => {
    const last = { epoch: 1, seq: ends.shift() ?? 20 }
    return Promise.resolve({
      last,
      admittedRun: 'run',
      persister: { ...other, position: { epoch: 1, seq: 12 } },
    } as never)
  }
  const drain = new OthersDrain({ run: 'run', logState })
  assert.ok(await drain.hasReachedEnd())
  assert.ok(await drain.hasReachedEnd())
})
