import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../log-position.ts'
import { judge, type RecordHead } from './verdict.ts'

interface Situation {
  readonly last: string
  readonly backlog: number
  readonly before: string
  readonly after?: string
  readonly epoch?: number | undefined
  readonly recordId?: string | undefined
  readonly seen?: string
  /** Of the epochs that Postgres knows of: where the one before ended; undefined: they follow on nothing. */
  readonly epochs?: Readonly<Record<number, string | undefined>>
}

/** The verdict, or the code of its fault. Unless the situation says otherwise Redis has an epoch and a record. */
function verdictOn(situation: Situation): string {
  const { last, backlog, before, after = before, seen, epochs = {} } = situation
  const verdict = judge({
    redis: {
      last: parseLogPosition(last),
      backlogEntries: backlog,
      epoch: 'epoch' in situation ? situation.epoch : parseLogPosition(last).epoch,
      recordId: 'recordId' in situation ? situation.recordId : 'ours',
    },
    before: head(before, epochs),
    after: head(after, epochs),
    seen: seen === undefined ? undefined : parseLogPosition(seen),
  })
  return 'fault' in verdict ? `${verdict.kind} ${verdict.fault.code}` : verdict.kind
}

function head(position: string, epochs: NonNullable<Situation['epochs']>): RecordHead {
  const begun = Object.entries(epochs).map(([epoch, end]) => {
    return { epoch: Number(epoch), run: 'a run', after: end === undefined ? undefined : parseLogPosition(end) }
  })
  return { committed: parseLogPosition(position), id: 'ours', run: 'a run', epochs: begun }
}

const empty = { last: '0-0', backlog: 0, epoch: undefined, recordId: undefined }

test('an empty Redis is new beside a database without a record, and has lost it beside any other', () => {
  assert.equal(verdictOn({ ...empty, before: '0-0' }), 'new')
  assert.equal(verdictOn({ ...empty, before: '1-0' }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ ...empty, before: '1-9' }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ ...empty, before: '0-0', seen: '1-3' }), 'lost HC_LOG_LOST')
})

test('a log that continues where Postgres ends is sound, trimmed or not', () => {
  assert.equal(verdictOn({ last: '1-7', backlog: 7, before: '0-0' }), 'sound')
  assert.equal(verdictOn({ last: '1-7', backlog: 4, before: '1-3' }), 'sound')
  assert.equal(verdictOn({ last: '1-7', backlog: 7, before: '1-3' }), 'sound')
  assert.equal(verdictOn({ last: '1-7', backlog: 0, before: '1-7', seen: '1-7' }), 'sound')
})

test('a log that goes on in later epochs is sound when all entries of all of them are there', () => {
  const epochs = { 2: '1-100', 3: '2-7' }
  assert.equal(verdictOn({ last: '3-5', backlog: 22, before: '1-90', epochs }), 'sound')
  assert.equal(verdictOn({ last: '3-5', backlog: 30, before: '1-90', epochs }), 'sound', 'some are not trimmed yet')
  assert.equal(verdictOn({ last: '3-5', backlog: 21, before: '1-90', epochs }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '3-0', backlog: 17, before: '1-90', epochs }), 'sound')
  assert.equal(verdictOn({ last: '3-0', backlog: 0, before: '2-7', epochs }), 'sound')
  assert.equal(verdictOn({ last: '3-5', backlog: 4, before: '2-7', epochs }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '3-5', backlog: 5, before: '2-7', epochs }), 'sound')
})

test('an epoch that Postgres was told of and that never began changes nothing', () => {
  const epochs = { 2: '1-100', 3: '1-100' }
  assert.equal(verdictOn({ last: '3-5', backlog: 15, before: '1-90', epochs }), 'sound')
  assert.equal(verdictOn({ last: '3-5', backlog: 14, before: '1-90', epochs }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '1-100', backlog: 10, before: '1-90', epochs }), 'sound')
})

test('an epoch in Redis that Postgres was not told of is a gap, but for the first one of all', () => {
  assert.equal(verdictOn({ last: '2-5', backlog: 5, before: '1-900' }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '3-5', backlog: 9, before: '1-900', epochs: { 2: '1-900' } }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '1-5', backlog: 5, before: '0-0' }), 'sound')
  assert.equal(verdictOn({ last: '1-5', backlog: 4, before: '0-0' }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '1-5', backlog: 5, before: '0-0', epochs: { 1: '0-0' } }), 'sound')
})

test('a log that turned off before what Postgres has, or was answered, has lost the log', () => {
  assert.equal(verdictOn({ last: '2-5', backlog: 5, before: '1-105', epochs: { 2: '1-100' } }), 'lost HC_LOG_LOST')
  assert.equal(
    verdictOn({ last: '3-5', backlog: 5, before: '2-1', epochs: { 2: '1-9', 3: '1-9' } }),
    'lost HC_LOG_LOST',
  )
  const seen = { last: '2-5', backlog: 5, before: '1-95', seen: '1-100' }
  assert.equal(verdictOn({ ...seen, epochs: { 2: '1-95' } }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ ...seen, backlog: 10, epochs: { 2: '1-100' } }), 'sound')
  assert.equal(verdictOn({ ...seen, before: '2-0', epochs: { 2: undefined } }), 'sound', 'it was rebuilt since')
})

test('a Redis without a record is taken for ours when it is whole, and is never rebuilt when it is not', () => {
  assert.equal(verdictOn({ last: '1-7', backlog: 0, before: '1-7', recordId: undefined }), 'sound')
  assert.equal(verdictOn({ last: '1-6', backlog: 0, before: '1-7', recordId: undefined }), 'refused HC_RECORD_FOREIGN')
})

test('an older copy has lost the log', () => {
  assert.equal(verdictOn({ last: '1-6', backlog: 6, before: '1-7' }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ last: '1-900', backlog: 0, before: '2-1' }), 'lost HC_LOG_LOST')
})

test('a Redis that is ahead of Postgres but lacks what was answered has lost the log', () => {
  assert.equal(verdictOn({ last: '1-8', backlog: 2, before: '1-6', seen: '1-9' }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ last: '2-0', backlog: 0, before: '2-0', seen: '1-9' }), 'sound')
})

test('a Redis that was fenced off, or whose rebuild was cut short, has lost the log', () => {
  assert.equal(verdictOn({ last: '1-8', backlog: 2, before: '1-6', epoch: undefined }), 'lost HC_LOG_LOST')
  assert.equal(verdictOn({ last: '0-0', backlog: 0, before: '2-0', epoch: undefined }), 'lost HC_LOG_LOST')
})

test('entries that were trimmed and are not in Postgres are a gap, which no rebuild may hide', () => {
  assert.equal(verdictOn({ last: '1-7', backlog: 6, before: '0-0' }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '1-7', backlog: 3, before: '1-3' }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '2-5', backlog: 4, before: '1-900' }), 'refused HC_LOG_GAP')
  assert.equal(verdictOn({ last: '1-7', backlog: 3, before: '1-3', seen: '1-9' }), 'refused HC_LOG_GAP')
})

test('what a persister commits and trims meanwhile is neither', () => {
  assert.equal(verdictOn({ last: '1-9', backlog: 1, before: '1-3', after: '1-8' }), 'sound')
  assert.equal(verdictOn({ last: '1-9', backlog: 0, before: '1-3', after: '1-12' }), 'sound')
})

test('the Redis of another record is refused, whatever its positions', () => {
  for (const before of ['0-0', '1-7', '1-9']) {
    assert.equal(verdictOn({ last: '1-7', backlog: 0, before, recordId: 'theirs' }), 'refused HC_RECORD_FOREIGN')
  }
})
