import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { WorkerHealth } from '../../core/ipc.ts'
import { judgeServer } from './server-health.ts'

const ready: WorkerHealth = { status: 'ready', checks: { redis: { status: 'up' } } }
const degraded: WorkerHealth = { status: 'degraded', checks: { redis: { status: 'up' }, postgres: { status: 'away' } } }
const notReady: WorkerHealth = { status: 'not_ready', checks: { redis: { status: 'down' } } }
const silent = null

function degradedWith(shardsReady: number): WorkerHealth {
  const shards = { status: shardsReady === 3 ? 'complete' : 'missing', ready: shardsReady, of: 3 }
  return { status: 'degraded', checks: { redis: { status: 'up' }, shards } }
}

test('the server is ready when every worker that there should be takes connections and is ready', () => {
  assert.deepEqual(judgeServer(ready, { accepting: [ready, ready], wanted: 2 }), {
    status: 'ready',
    checks: { redis: { status: 'up' }, workers: { status: 'complete', ready: 2, of: 2 } },
  })
})

test('one worker that takes connections and does not sell makes it not ready, and shows why', () => {
  assert.deepEqual(judgeServer(ready, { accepting: [ready, notReady], wanted: 2 }), {
    status: 'not_ready',
    checks: { redis: { status: 'down' }, workers: { status: 'not_ready', ready: 1, of: 2 } },
  })
})

test('one worker that takes connections and does not answer makes it not ready', () => {
  const { status, checks } = judgeServer(ready, { accepting: [silent, ready], wanted: 2 })
  assert.deepEqual([status, checks.workers], ['not_ready', { status: 'silent', ready: 1, of: 2 }])
})

test('a worker that takes no connections yet makes it degraded', () => {
  const { status, checks } = judgeServer(ready, { accepting: [ready], wanted: 2 })
  assert.deepEqual([status, checks.workers], ['degraded', { status: 'missing', ready: 1, of: 2 }])
})

test('a worker that can do without something makes it degraded, and shows what', () => {
  const { status, checks } = judgeServer(ready, { accepting: [ready, degraded], wanted: 2 })
  assert.deepEqual([status, checks['postgres']?.status, checks.workers.status], ['degraded', 'away', 'complete'])
})

test('of several that are degraded it shows the one that lacks a shard, whoever answers first', () => {
  const [none, one, two] = [degradedWith(3), degradedWith(2), degradedWith(1)]
  for (const accepting of [
    [none, one, two],
    [two, one, none],
    [one, two, none],
  ]) {
    const { status, checks } = judgeServer(accepting[0] as WorkerHealth, { accepting, wanted: 3 })
    assert.deepEqual([status, checks['shards']], ['degraded', two.checks['shards']])
  }
  const worse = judgeServer(two, { accepting: [two, notReady], wanted: 2 })
  assert.deepEqual([worse.status, worse.checks['redis']?.status], ['not_ready', 'down'])
})

test('with nobody who takes connections it is not ready, however well the one is that is asked', () => {
  const { status, checks } = judgeServer(ready, { accepting: [], wanted: 2 })
  assert.deepEqual([status, checks.workers], ['not_ready', { status: 'not_ready', ready: 0, of: 2 }])
})

test('in a reload a successor beside the one it replaces takes nothing from being complete', () => {
  const { status, checks } = judgeServer(ready, { accepting: [ready, ready, ready], wanted: 2 })
  assert.deepEqual([status, checks.workers], ['ready', { status: 'complete', ready: 3, of: 3 }])
})

test('the word of the one that was asked counts as well: it may be about to stop', () => {
  assert.equal(judgeServer(notReady, { accepting: [ready], wanted: 1 }).status, 'not_ready')
})

test('without the primary it speaks for itself, and says that it knows nothing of the others', () => {
  const { status, checks } = judgeServer(ready, undefined)
  assert.deepEqual([status, checks.workers], ['degraded', { status: 'unknown' }])
  assert.equal(judgeServer(notReady, undefined).status, 'not_ready')
})
