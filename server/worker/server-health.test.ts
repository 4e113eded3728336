import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { WorkerHealth } from '../../core/ipc.ts'
import { judgeServer } from './server-health.ts'

const ready: WorkerHealth = { status: 'ready', checks: { redis: { status: 'up' } } }
const degraded: WorkerHealth = { status: 'degraded', checks: { redis: { status: 'up' }, postgres: { status: 'away' } } }
const notReady: WorkerHealth = { status: 'not_ready', checks: { redis: { status: 'down' } } }
const silent = null

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
