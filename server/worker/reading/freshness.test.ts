import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LogState } from '../../../core/redis/sale-store.ts'
import { Freshness } from './freshness.ts'

function shard(number: number, lagSeconds: number, seq: number) {
  const position = { epoch: 2, seq }
  const persister = { state: 'active', position, host: 'here', pid: 1 } as const
  const logState: LogState = {
    nowMs: 1_000,
    backlogEntries: 1,
    lagSeconds,
    last: position,
    persister,
    epoch: 2,
    admittedRun: 'a run',
    recordId: 'ours',
  }
  return { number, logState, clock: { now: () => 1_500 } }
}

test('an answer is as old as the log that lags most, and names how far each has come', () => {
  const alone = new Freshness([shard(0, 0.25, 7)])
  assert.deepEqual([alone.lagMs, alone.headers], [750, '\r\nHotcakes-Lag: 0.750\r\nHotcakes-Position: 2-7'])
  const three = new Freshness([shard(0, 0, 7), shard(1, 4, 3), shard(2, 0.25, 9)])
  assert.deepEqual(
    [three.lagMs, three.headers],
    [4_500, '\r\nHotcakes-Lag: 4.500\r\nHotcakes-Position: 2-7, 1:2-3, 2:2-9'],
  )
})

test('while one log says nothing, nothing is known', () => {
  for (const silent of [
    { ...shard(1, 0, 1), logState: undefined },
    { ...shard(1, 0, 1), logState: { ...shard(1, 0, 1).logState, persister: undefined } },
    { ...shard(1, 0, 1), clock: { now: () => undefined } },
  ]) {
    const { lagMs, headers } = new Freshness([shard(0, 0, 7), silent])
    assert.deepEqual([lagMs, headers], [undefined, ''])
  }
})

test('what the record has said itself counts for more than the last look at the logs', () => {
  const reached = [
    { epoch: 2, seq: 8 },
    { epoch: 3, seq: 1 },
  ]
  const known = new Freshness([shard(0, 0, 7), shard(1, 4, 3)], reached)
  assert.equal(known.headers, '\r\nHotcakes-Lag: 4.500\r\nHotcakes-Position: 2-8, 1:3-1')
  const silent = new Freshness([shard(0, 0, 7), { ...shard(1, 0, 1), logState: undefined }], reached)
  assert.equal(silent.headers, '\r\nHotcakes-Position: 2-8, 1:3-1')
})
