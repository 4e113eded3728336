import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'

import { cursorLengthMax, shardsMax } from '../../../core/limits.ts'
import { type Cursor, comparePlaces, formatCursor, historyMark, parseCursor, wholeEntry } from './cursor.ts'

const numbers = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const plain = { noNullPrototype: true }
const items = fc.record({ sale: numbers, index: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) }, plain)
const shards = fc.record(
  {
    epoch: numbers,
    batch: numbers,
    n: fc.integer({ min: 0, max: wholeEntry }),
    last: fc.option(items, { nil: undefined }),
    mark: fc.nat().map((run) => historyMark(`${run}`, undefined)),
  },
  plain,
)
const cursors: fc.Arbitrary<Cursor> = fc.record(
  { record: fc.constant('0a1b2c3d'), shards: fc.array(shards, { minLength: 1, maxLength: shardsMax }) },
  plain,
)

test('a cursor is read as it was written, and needs no escapes in a URL', () => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      const text = formatCursor(cursor)
      assert.deepEqual(parseCursor(text), cursor)
      assert.equal(encodeURIComponent(text), text)
      assert.ok(text.length <= cursorLengthMax)
    }),
  )
})

test('a cursor that was cut, changed or put together is none', () => {
  fc.assert(
    fc.property(cursors, fc.nat(), fc.constantFrom('', '0', '1', '~', '_', 'x'), (cursor, at, other) => {
      const text = formatCursor(cursor)
      const place = at % text.length
      const changed = `${text.slice(0, place)}${other}${text.slice(place + 1)}`
      if (changed !== text) assert.equal(parseCursor(changed), undefined, changed)
      assert.equal(parseCursor(text.slice(0, place)), undefined)
    }),
  )
  for (const text of ['', '~', 'c1', 'now', '1-2', 'c1~0a1b2c3d~aaaaaa', `${'c'.repeat(cursorLengthMax + 1)}~`]) {
    assert.equal(parseCursor(text), undefined, text)
  }
})

test('places are in the order of epochs, entries and places in them', () => {
  const places = [
    [0, 0, wholeEntry],
    [1, 1, 0],
    [1, 1, 1],
    [1, 1, wholeEntry],
    [1, 2, 0],
    [2, 1, 0],
  ].map(([epoch = 0, batch = 0, n = 0]) => ({ epoch, batch, n }))
  for (const [a, place] of places.entries()) {
    for (const [b, other] of places.entries()) assert.equal(Math.sign(comparePlaces(place, other)), Math.sign(a - b))
  }
})
