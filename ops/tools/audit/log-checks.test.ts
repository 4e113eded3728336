import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import type { BegunEpoch } from '../../../core/postgres/log-epochs.ts'
import { Breaches, type BreachRow } from './breaches.ts'
import { checkLogExtent, checkPlaces, unbrokenSince } from './log-checks.ts'

const at = parseLogPosition

function extent(first: string | undefined, last: string, entries: number) {
  return { first: first === undefined ? undefined : at(first), last: at(last), entries, unlistedCounts: new Map() }
}

function gaps(
  log: ReturnType<typeof extent>,
  after: LogPosition,
  epochs: readonly BegunEpoch[] = [],
): readonly BreachRow[] {
  const breaches = new Breaches()
  checkLogExtent(log, { before: { epoch: 0, seq: 0 }, after, epochs }, { breaches, of: {} })
  return breaches.of('log_gap').rows
}

test('a log that goes on where Postgres is has no gap', () => {
  assert.deepEqual(gaps(extent(undefined, '0-0', 0), at('0-0')), [], 'before the first epoch')
  assert.deepEqual(gaps(extent(undefined, '1-0', 0), at('0-0')), [], 'before the first entry')
  assert.deepEqual(gaps(extent('1-1', '1-4', 4), at('0-0')), [], 'before the first commit')
  assert.deepEqual(gaps(extent('1-3', '1-4', 2), at('1-2')), [])
  assert.deepEqual(gaps(extent('1-1', '1-4', 4), at('1-2')), [], 'committed, not trimmed')
  assert.deepEqual(gaps(extent(undefined, '1-4', 0), at('1-4')), [], 'all trimmed')
  assert.deepEqual(gaps(extent('2-1', '2-4', 4), at('1-9')), [], 'a new epoch')
})

function lost(from: string, to: string): BreachRow[] {
  return [{ problem: 'neither in Redis nor in Postgres', from, to }]
}

test('entries that neither side has are named', () => {
  assert.deepEqual(gaps(extent('1-5', '1-6', 2), at('1-2')), lost('1-3', '1-4'))
  assert.deepEqual(gaps(extent(undefined, '1-4', 0), at('1-2')), lost('1-3', '1-4'))
  assert.deepEqual(gaps(extent('2-3', '2-4', 2), at('1-9')), lost('2-1', '2-2'))
  assert.equal(gaps(extent('1-3', '1-6', 2), at('1-2'))[0]?.['missing'], 2)
})

test('between epochs nothing is missing where Postgres knows that the one before ended there', () => {
  const begun = [
    { epoch: 2, after: at('1-9') },
    { epoch: 3, after: at('1-9') },
    { epoch: 5, after: at('3-2') },
  ]
  assert.deepEqual(gaps(extent('1-8', '3-1', 3), at('1-7'), begun), [])
  assert.deepEqual(gaps(extent('3-1', '5-1', 3), at('1-9'), begun), [])
  assert.deepEqual(gaps(extent(undefined, '5-0', 0), at('3-2'), begun), [])
  assert.deepEqual(gaps(extent('3-1', '5-1', 3), at('1-7'), begun), lost('1-8', '1-9'))
  assert.deepEqual(gaps(extent(undefined, '2-0', 0), at('1-7'), begun), lost('1-8', '1-9'))
  assert.deepEqual(gaps(extent('5-2', '5-2', 1), at('3-1'), begun), lost('3-2', '5-1'))
  assert.equal(gaps(extent('1-8', '5-1', 3), at('1-7'), begun)[0]?.['missing'], 2)
})

test('an offset is ahead only of a log that was read after it, or that does not lead over it', () => {
  const found = (last: string, before: string, after: string, epochs: readonly BegunEpoch[] = []) => {
    const breaches = new Breaches()
    checkLogExtent(extent(undefined, last, 0), { before: at(before), after: at(after), epochs }, { breaches, of: {} })
    return breaches.of('offset_ahead').rows
  }
  assert.deepEqual(found('1-4', '1-4', '1-7'), [])
  assert.deepEqual(found('1-4', '1-5', '1-5'), [{ offset: '1-5', log_ends_at: '1-4' }])
  const begun = [{ epoch: 2, after: at('1-4') }]
  assert.deepEqual(found('2-3', '1-4', '2-3', begun), [])
  assert.deepEqual(found('2-3', '1-5', '2-3', begun), [{ offset: '1-5', log_ends_at: '2-3' }])
})

test('the epochs of a log go back to the last one that follows on nothing', () => {
  const begun = [
    { epoch: 1, after: at('0-0') },
    { epoch: 4, after: undefined },
    { epoch: 5, after: at('4-0') },
    { epoch: 7, after: at('5-2') },
  ]
  assert.deepEqual(
    [1, 4, 5, 7, 9].map((epoch) => unbrokenSince(epoch, begun)),
    [0, 4, 4, 4, 9],
  )
})

test('as many entries without rows as opened sales are the most, and the least where all epochs are known', () => {
  const none = { count: 0, rows: [] }
  const found = (log: { shard?: number; since: number; absent: number }, shards = 1) => {
    const breaches = new Breaches()
    const rows = [{ ...(shards > 1 && { shard: log.shard ?? 0 }), epoch: 1, from: 2, to: 3 }]
    const known = Array.from({ length: shards }, (_, shard) => ({ shard, since: 1, absent: 2 }))
    const logs = known.map((one) => (one.shard === (log.shard ?? 0) ? { ...one, ...log } : one))
    const opened = new Map(known.map(({ shard }) => [shard, 2]))
    checkPlaces({ logs, attempts: 9, absent: { rows }, doubled: none, missing: none }, opened, breaches)
    return breaches.of('log_entry_missing')
  }
  const counts = (since: number) => [1, 2, 4].map((absent) => found({ since, absent }).count)
  assert.deepEqual(counts(1), [1, 0, 2])
  assert.deepEqual(counts(0), [1, 0, 2])
  assert.deepEqual(counts(2), [0, 0, 2])
  assert.deepEqual(
    [1, 2, 4].map((absent) => found({ shard: 1, since: 1, absent }, 3).count),
    [0, 0, 2],
    'another shard may have been away while a sale was open',
  )
  assert.deepEqual(found({ shard: 1, since: 1, absent: 4 }, 3).rows, [
    { shard: 1, entries_without_attempts: 4, opened_sales_on_record: 2 },
    { shard: 1, entries_without_attempts_from: '1-2', to: '1-3' },
  ])
})
