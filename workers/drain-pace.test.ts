import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  batchCommandsMax,
  drainEntriesFirstMax,
  drainEntriesGrowthMax,
  drainEntriesMax,
  drainIntervalMsMax,
  drainIntervalMsMin,
  drainRowsAim,
} from '../core/limits.ts'
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
  assert.ok(new DrainPace().entriesMax * batchCommandsMax <= 2.1 * drainRowsAim, 'whatever entries hold')
})

/** Lets a backlog of small entries be drained until reads are as large as they get. Returns the sizes of the reads. */
function drainSmall(pace: DrainPace): number[] {
  const reads: number[] = []
  do {
    const entries = pace.entriesMax
    reads.push(entries)
    pace.intervalMs({ startedAtMs: reads.length, entries, rows: entries })
  } while (reads.at(-1) !== drainEntriesMax && reads.length < 10)
  return reads
}

test('a backlog is approached in steps, at first, after some small transactions and after a failure', () => {
  const pace = new DrainPace()
  const [first, factor] = [drainEntriesFirstMax, drainEntriesGrowthMax]
  const steps = [first, factor * first, factor ** 2 * first, drainEntriesMax]
  for (const begin of [
    () => undefined,
    () => {
      for (let n = 0; n < 7; n++) pace.intervalMs({ startedAtMs: n, entries: 1, rows: 1 })
    },
    () => pace.failed(),
  ]) {
    begin()
    assert.deepEqual(drainSmall(pace), steps)
  }
})

test('after a failure entries that were seen to be large are still read by fewer', () => {
  const pace = new DrainPace()
  const rowsPerEntry = 4 * batchCommandsMax
  pace.intervalMs({ startedAtMs: 0, entries: 1, rows: rowsPerEntry })
  pace.failed()
  assert.equal(pace.entriesMax, Math.ceil((2 * drainRowsAim) / rowsPerEntry))
})

test('a steady load is taken in by one read a transaction, however small its entries are', () => {
  for (const entriesPerSecond of [100, 400, 1_000, 2_000, 4_000, 8_000]) {
    const pace = new DrainPace()
    let [nowMs, readThrough] = [0, 0]
    let fullReads = 0
    for (let n = 0; n < 40; n++) {
      const { entriesMax } = pace
      const waiting = Math.floor((entriesPerSecond * nowMs) / 1_000) - readThrough
      const entries = Math.max(1, Math.min(waiting, entriesMax))
      readThrough += entries
      const intervalMs = pace.intervalMs({ startedAtMs: nowMs, entries, rows: entries })
      const isFull = entries === entriesMax
      if (isFull && n >= 20) fullReads++
      nowMs += isFull ? 10 : intervalMs
    }
    assert.equal(fullReads, 0, `${entriesPerSecond} entries/s`)
  }
})

test('after a pause, and where entries have no rows, the wait is the shortest', () => {
  const pace = new DrainPace()
  assert.equal(pace.intervalMs({ startedAtMs: 1_000, entries: 1, rows: 0 }), drainIntervalMsMin)
  assert.equal(pace.intervalMs({ startedAtMs: 61_000, entries: 10, rows: 300 }), drainIntervalMsMin)
  assert.equal(pace.intervalMs({ startedAtMs: 61_000, entries: 10, rows: 300 }), drainIntervalMsMin)
})
