import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LogState } from '../core/redis/sale-store.ts'
import { type HealthFacts, judgeHealth } from './health.ts'

const position = { epoch: 1, seq: 9 }
const persister = { state: 'active', position, host: 'here', pid: 1 } as const
const owner = { epoch: 1, admittedRun: 'a run', record: 'ours' }
const logState: LogState = { nowMs: 1, backlogEntries: 5, lagSeconds: 0.1, last: position, persister, ...owner }
const wellFacts: HealthFacts = {
  isDraining: false,
  isRedisUp: true,
  redisFault: undefined,
  isRecordSound: true,
  recordReport: undefined,
  logState,
  backlogMax: 100,
  needsPostgres: false,
  logLack: undefined,
  sale: 7,
  isSaleOpen: true,
}

function verdict(change: Partial<HealthFacts>): [string, Record<string, string>] {
  const { status, checks } = judgeHealth({ ...wellFacts, ...change })
  const unwell = Object.entries(checks).filter(
    ([, check]) => !['serving', 'up', 'sound', 'ok', 'open'].includes(check.status),
  )
  return [status, Object.fromEntries(unwell.map(([name, check]) => [name, check.status]))]
}

test('a server that has all it needs is ready, and names every part', () => {
  assert.deepEqual(verdict({}), ['ready', {}])
  assert.deepEqual(judgeHealth(wellFacts).checks.log, {
    status: 'ok',
    backlog_entries: 5,
    backlog_max: 100,
    lag_seconds: 0.1,
  })
})

test('without Postgres or without word from a persister selling goes on, and it says degraded', () => {
  const away = { ...logState, persister: { ...persister, state: 'away' as const } }
  assert.deepEqual(verdict({ logState: away }), ['degraded', { postgres: 'away' }])
  assert.deepEqual(verdict({ logState: { ...logState, persister: undefined } }), ['degraded', { postgres: 'unknown' }])
})

test('where purchases wait for Postgres, it is not ready without', () => {
  const away = { ...logState, persister: { ...persister, state: 'away' as const } }
  assert.deepEqual(verdict({ needsPostgres: true }), ['ready', {}])
  assert.deepEqual(verdict({ needsPostgres: true, logState: away }), ['not_ready', { postgres: 'away' }])
})

test('it is not ready without Redis, with the log full, without an open sale, or while it drains', () => {
  assert.deepEqual(verdict({ isRedisUp: false }), ['not_ready', { redis: 'down' }])
  assert.deepEqual(verdict({ logLack: 'backlog_full' }), ['not_ready', { log: 'backlog_full' }])
  assert.deepEqual(verdict({ logLack: 'memory_full' }), ['not_ready', { log: 'memory_full' }])
  assert.deepEqual(verdict({ isRecordSound: false }), ['not_ready', { record: 'unverified' }])
  const recordReport = { status: 'lost', fault: 'HC_LOG_LOST', reason: 'why' } as const
  assert.deepEqual(verdict({ isRecordSound: false, recordReport }), ['not_ready', { record: 'lost' }])
  assert.deepEqual(verdict({ isSaleOpen: false }), ['not_ready', { sale: 'opening' }])
  assert.deepEqual(verdict({ isDraining: true }), ['not_ready', { server: 'draining' }])
  assert.deepEqual(verdict({ logState: undefined }), ['not_ready', { postgres: 'unknown', log: 'unknown' }])
})
