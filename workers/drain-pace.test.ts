import assert from 'node:assert/strict'
import { test } from 'node:test'

import { drainEntriesMax, drainIntervalMsMax, drainIntervalMsMin, drainRowsAim } from '../core/limits.ts'
import { DrainPace } from './drain-pace.ts'

/** Lets a load come in for ten transactions. Returns the last one's rows, and the wait after it. */
function settled(rowsPerSecond: number, rowsPerEntry: number) {
  const pace = new DrainPace()
  let startedAtMs = 0
  let waitMs = drainIntervalMsMin
  let rows = 0
  for (let n = 0; n < 10; n++) {
    startedAtMs += waitMs
    rows = (rowsPerSecond * waitMs) / 1_000
    waitMs = pace.intervalMs({ startedAtMs, rows, entries: rows / rowsPerEntry })
  }
  return { rows, waitMs, entriesMax: pace.entriesMax }
}

test('transactions grow with the load, up to the rows that are worth a wait, and never wait for long', () => {
  let before = 0
  for (const rowsPerSecond of [1, 100, 1_000, 4_000, 8_000, 16_000, 20_000]) {
    const { rows, waitMs } = settled(rowsPerSecond, 30)
    assert.ok(waitMs >= drainIntervalMsMin && waitMs <= drainIntervalMsMax, `${waitMs} ms at ${rowsPerSecond}/s`)
    assert.ok(rows > before, `${rows} rows at ${rowsPerSecond}/s`)
    before = rows
  }
  assert.equal(settled(1_000, 30).waitMs, drainIntervalMsMin, 'a small load is on record as soon as before')
  for (const rowsPerSecond of [20_000, 40_000, 90_000])
    assert.ok(Math.abs(settled(rowsPerSecond, 30).rows - drainRowsAim) < 1, `${rowsPerSecond}/s`)
  assert.equal(settled(1_000_000, 30).waitMs, drainIntervalMsMin)
})

test('a read is of twice the rows of a transaction at most, by what entries held, and of some entries at least', () => {
  assert.equal(settled(5_000, 1).entriesMax, drainEntriesMax)
  assert.equal(settled(40_000, 100).entriesMax, 200)
  assert.equal(settled(40_000, 512).entriesMax, 40)
  assert.ok(new DrainPace().entriesMax * 512 <= 21 * drainRowsAim)
})

test('after a pause, and where entries have no rows, the wait is the shortest', () => {
  const pace = new DrainPace()
  assert.equal(pace.intervalMs({ startedAtMs: 1_000, entries: 1, rows: 0 }), drainIntervalMsMin)
  assert.equal(pace.intervalMs({ startedAtMs: 61_000, entries: 10, rows: 300 }), drainIntervalMsMin)
  assert.equal(pace.intervalMs({ startedAtMs: 61_000, entries: 10, rows: 300 }), drainIntervalMsMin)
})
