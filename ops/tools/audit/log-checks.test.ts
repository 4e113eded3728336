import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import { Breaches, type BreachRow } from './breaches.ts'
import { checkLogExtent, checkPlaces } from './log-checks.ts'

const at = parseLogPosition

function extent(first: string | undefined, last: string, entries: number) {
  return { first: first === undefined ? undefined : at(first), last: at(last), entries, unlistedCounts: new Map() }
}

function gaps(log: ReturnType<typeof extent>, after: LogPosition): readonly BreachRow[] {
  const breaches = new Breaches()
  checkLogExtent(log, { before: { epoch: 0, seq: 0 }, after }, breaches)
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

test('an offset is ahead only of a log that was read after it', () => {
  const breaches = new Breaches()
  checkLogExtent(extent(undefined, '1-4', 0), { before: at('1-4'), after: at('1-7') }, breaches)
  assert.equal(breaches.any, false)
  checkLogExtent(extent(undefined, '1-4', 0), { before: at('1-5'), after: at('1-5') }, breaches)
  assert.deepEqual(breaches.of('offset_ahead').rows, [{ offset: '1-5', log_ends_at: '1-4' }])
})

test('after the first epoch, as many entries without attempts as opened sales are the most, not the least', () => {
  const none = { count: 0, rows: [] }
  const epoch = { entries: 5, batches: 4, rows: 9 }
  const found = (last: number, absent: number) => {
    const breaches = new Breaches()
    const places = {
      epochs: [{ epoch: 1, ...epoch }],
      absent: { count: absent, rows: [{ epoch: 1, from: 2, to: 3 }] },
      doubled: none,
      missing: none,
    }
    checkPlaces(places, { salesOpened: 2, lastEpoch: last }, breaches)
    return breaches.of('log_entry_missing').count
  }
  assert.deepEqual([found(1, 1), found(1, 2), found(1, 4)], [1, 0, 2])
  assert.deepEqual([found(2, 1), found(2, 2), found(2, 3)], [0, 0, 1])
})
