import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LogState } from '../../core/redis/sale-store.ts'
import { type HealthFacts, judgeHealth, judgeShards } from './health.ts'

const position = { epoch: 1, seq: 9 }
const persister = { state: 'active', position, host: 'here', pid: 1 } as const
const owner = { epoch: 1, admittedRun: 'a run', recordId: 'ours' }
const logState: LogState = { nowMs: 1, backlogEntries: 5, lagSeconds: 0.1, last: position, persister, ...owner }
const wellFacts: HealthFacts = {
  isDraining: false,
  isRedisUp: true,
  redisFault: undefined,
  isSound: true,
  primaryState: undefined,
  logState,
  backlogMax: 100,
  needsPostgres: false,
  logLack: undefined,
  replicas: undefined,
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

test('where answers wait for replicas it is degraded without, and while they are behind', () => {
  const complete = { status: 'complete', awaited: 1 } as const
  assert.equal(judgeHealth({ ...wellFacts, replicas: complete }).status, 'ready')
  for (const status of ['none', 'behind', 'unknown'] as const) {
    const facts = { ...wellFacts, replicas: { status, awaited: undefined } }
    assert.deepEqual(verdict(facts), ['degraded', { replicas: status }])
    const { checks } = judgeShards([0, 1].map((shard) => ({ ...facts, shard })))
    assert.equal(checks['replicas']?.status, status)
  }
})

test('it tells a Postgres that refuses our rows from one that is away, and names why', () => {
  const trouble = { fault: 'HC_POSTGRES_REFUSED', reason: 'permission denied for table purchases [42501]' } as const
  const refused = { ...logState, persister: { ...persister, state: 'refused' as const, trouble } }
  assert.deepEqual(verdict({ logState: refused }), ['degraded', { postgres: 'refused' }])
  assert.deepEqual(verdict({ logState: refused, needsPostgres: true }), ['not_ready', { postgres: 'refused' }])
  const { checks } = judgeHealth({ ...wellFacts, logState: refused })
  assert.deepEqual(checks.postgres, { status: 'refused', ...trouble })
  const unnamed = { fault: 'HC_POSTGRES_UNAVAILABLE', reason: '' } as const
  const away = { ...logState, persister: { ...persister, state: 'away' as const, trouble: unnamed } }
  const awayChecks = judgeHealth({ ...wellFacts, logState: away }).checks
  assert.deepEqual(awayChecks.postgres, { status: 'away', fault: 'HC_POSTGRES_UNAVAILABLE' })
  const locked = { ...logState, persister: { ...persister, state: 'locked' as const } }
  assert.deepEqual(verdict({ logState: locked }), ['degraded', { postgres: 'locked' }])
})

test('a log that has lost entries is named, and Postgres is not blamed for it', () => {
  const trouble = { fault: 'HC_LOG_GAP', reason: 'after the log entry 1-4 comes 1-6' } as const
  const gap = { ...logState, persister: { ...persister, state: 'log_fault' as const, trouble } }
  assert.deepEqual(verdict({ logState: gap }), ['degraded', { log: 'fault' }])
  assert.deepEqual(verdict({ logState: gap, needsPostgres: true }), ['not_ready', { log: 'fault' }])
  assert.deepEqual(verdict({ logState: gap, logLack: 'backlog_full' }), ['not_ready', { log: 'backlog_full' }])
  const { log, postgres } = judgeHealth({ ...wellFacts, logState: gap }).checks
  assert.deepEqual(log, { status: 'fault', ...trouble, backlog_entries: 5, backlog_max: 100, lag_seconds: 0.1 })
  assert.deepEqual(postgres, { status: 'up' })
})

test('it is not ready without Redis, with the log full, without an open sale, or while it drains', () => {
  assert.deepEqual(verdict({ isRedisUp: false }), ['not_ready', { redis: 'down' }])
  assert.deepEqual(verdict({ logLack: 'backlog_full' }), ['not_ready', { log: 'backlog_full' }])
  assert.deepEqual(verdict({ logLack: 'memory_full' }), ['not_ready', { log: 'memory_full' }])
  assert.deepEqual(verdict({ isSound: false }), ['not_ready', { record: 'unverified' }])
  const primaryState = { status: 'lost', fault: 'HC_LOG_LOST', reason: 'why' } as const
  assert.deepEqual(verdict({ isSound: false, primaryState }), ['not_ready', { record: 'lost' }])
  assert.deepEqual(verdict({ isSaleOpen: false }), ['not_ready', { sale: 'opening' }])
  assert.deepEqual(verdict({ isDraining: true }), ['not_ready', { server: 'draining' }])
  assert.deepEqual(verdict({ logState: undefined }), [
    'not_ready',
    { record: 'unverified', postgres: 'unknown', log: 'unknown' },
  ])
})

function judged(...changes: Partial<HealthFacts>[]) {
  return judgeShards(changes.map((change, shard) => ({ ...wellFacts, shard, ...change })))
}

test('with several shards it is degraded as long as one sells, and says of each how it is', () => {
  type Shards = {
    status: string
    ready: number
    of: number
    missing?: number[]
    each: { shard: number; status: string }[]
  }
  const verdictOf = (...changes: Partial<HealthFacts>[]) => {
    const { status, checks } = judged(...changes)
    const { each, ...shards } = checks['shards'] as Shards
    return [status, shards, each.map((shard) => shard.status)]
  }
  const down = { isRedisUp: false }
  const away = { ...logState, persister: { ...persister, state: 'away' as const } }
  assert.deepEqual(verdictOf({}, {}), ['ready', { status: 'complete', ready: 2, of: 2 }, ['ready', 'ready']])
  assert.deepEqual(verdictOf({}, { logState: away }), [
    'degraded',
    { status: 'complete', ready: 2, of: 2 },
    ['ready', 'degraded'],
  ])
  assert.deepEqual(verdictOf({}, down, { logLack: 'backlog_full' }), [
    'degraded',
    { status: 'missing', ready: 1, of: 3, missing: [1, 2] },
    ['ready', 'not_ready', 'not_ready'],
  ])
  assert.deepEqual(verdictOf(down, down), [
    'not_ready',
    { status: 'none', ready: 0, of: 2, missing: [0, 1] },
    ['not_ready', 'not_ready'],
  ])
  const draining = { isDraining: true }
  assert.equal(judged(draining, draining).status, 'not_ready')

  const { checks } = judged({}, down, {})
  assert.deepEqual(checks['redis'], { status: 'down' }, 'the shard that is worst off')
  assert.deepEqual((checks['shards'] as unknown as { each: object[] }).each[2], {
    shard: 2,
    status: 'ready',
    redis: { status: 'up' },
    record: { status: 'sound' },
    postgres: { status: 'up' },
    log: { status: 'ok', backlog_entries: 5, backlog_max: 100, lag_seconds: 0.1 },
    sale: { status: 'open', id: 7 },
  })
})
