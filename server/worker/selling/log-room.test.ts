import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type LogLack, LogRoom } from './log-room.ts'

function setUp() {
  const changes: (LogLack | undefined)[] = []
  const room = new LogRoom({ backlogMax: 100, onChange: (lack) => changes.push(lack) })
  const look = (backlogEntries: number, memoryShare = 0) =>
    room.observe({ last: { epoch: 7, seq: 1_000 }, backlogEntries }, memoryShare)
  return { room, look, changes }
}

test('above its bound the log is full, until it is well below it', () => {
  const { room, look, changes } = setUp()
  look(100)
  assert.equal(room.lack, undefined)
  for (const backlog of [101, 100, 90, 76]) {
    look(backlog)
    assert.equal(room.lack, 'backlog_full', String(backlog))
  }
  look(75)
  assert.equal(room.lack, undefined)
  look(100)
  assert.deepEqual(changes, ['backlog_full', undefined])
})

test('so it is when the memory of Redis comes to its end', () => {
  const { room, look, changes } = setUp()
  look(0, 0.9)
  assert.equal(room.lack, undefined)
  look(0, 0.91)
  look(0, 0.86)
  assert.equal(room.lack, 'memory_full')
  look(0, 0.85)
  assert.deepEqual(changes, ['memory_full', undefined])
})

test('a full log that leaves no memory either is full until both have ended', () => {
  const { look, changes } = setUp()
  look(101, 0.95)
  look(10, 0.95)
  look(10, 0.5)
  assert.deepEqual(changes, ['backlog_full', 'memory_full', undefined])
})

test('with the entry that may fill the log a look is due, in a new epoch as well', () => {
  const { room, look } = setUp()
  assert.equal(room.mayBeFull('7-5000'), false, 'nothing is known yet')
  look(40)
  assert.equal(room.mayBeFull('7-1060'), false)
  assert.equal(room.mayBeFull('7-1061'), true)
  assert.equal(room.mayBeFull('8-1'), true)
})
