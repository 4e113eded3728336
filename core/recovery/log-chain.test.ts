import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../log-position.ts'
import { endOfLog, entriesBetween } from './log-chain.ts'

/** Where each epoch's predecessor ended; '': it follows on nothing. */
function begun(ends: Readonly<Record<number, string>>) {
  return Object.entries(ends).map(([epoch, end]) => {
    return { epoch: Number(epoch), run: 'a run', after: end === '' ? undefined : parseLogPosition(end) }
  })
}

function between(from: string, to: string, ends: Readonly<Record<number, string>> = {}) {
  return entriesBetween(parseLogPosition(from), parseLogPosition(to), begun(ends))
}

test('entries are counted within an epoch and over those that follow on each other', () => {
  assert.equal(between('1-3', '1-3'), 0)
  assert.equal(between('1-3', '1-2'), 0)
  assert.equal(between('1-3', '1-10'), 7)
  assert.equal(between('1-3', '2-4', { 2: '1-10' }), 11)
  assert.equal(between('1-3', '4-1', { 2: '1-10', 4: '2-5' }), 13, 'the third never began')
  assert.equal(between('1-10', '3-0', { 2: '1-10', 3: '1-10' }), 0)
})

test('over an epoch that follows on nothing, or that nobody was told of, they are not known', () => {
  assert.equal(between('1-3', '2-4'), 'unknown')
  assert.equal(between('1-3', '2-4', { 2: '' }), 'unknown')
  assert.equal(between('1-3', '3-4', { 3: '2-1' }), 'unknown')
  assert.equal(between('0-0', '1-4'), 4, 'but for the first of all')
})

test('a log that left before the earlier position does not lead over it', () => {
  assert.equal(between('1-9', '2-1', { 2: '1-8' }), 'apart')
  assert.equal(between('2-9', '3-1', { 3: '1-8' }), 'apart')
})

function endAfter(last: string, committed: string, ends: Readonly<Record<number, string>> = {}) {
  return endOfLog(parseLogPosition(last), { committed: parseLogPosition(committed), epochs: begun(ends) })
}

test('an epoch ends with its last entry, and one without entries where the one before did', () => {
  assert.deepEqual(endAfter('2-7', '1-3', { 2: '1-5' }), { epoch: 2, seq: 7 })
  assert.deepEqual(endAfter('2-0', '1-3', { 2: '1-5' }), { epoch: 1, seq: 5 })
  assert.deepEqual(endAfter('2-0', '2-0', { 2: '' }), { epoch: 2, seq: 0 }, 'the offset stands at its beginning')
  assert.deepEqual(endAfter('0-0', '0-0'), { epoch: 0, seq: 0 })
  assert.deepEqual(endAfter('1-0', '0-0'), { epoch: 0, seq: 0 })
})
