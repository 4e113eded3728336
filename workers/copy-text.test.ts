import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CopyText, copyField, copyTime } from './copy-text.ts'

test('the text grows with its rows and keeps them in order', () => {
  const text = new CopyText(4)
  text.add('1\ta\n', 1)
  text.add('2\tbb\n3\tccc\n', 2)
  text.add('4\tä€😀\n', 1)
  assert.equal(text.text.toString(), '1\ta\n2\tbb\n3\tccc\n4\tä€😀\n')
  assert.equal(text.rowCount, 4)
})

test('a cleared text starts over', () => {
  const text = new CopyText(4)
  text.add('1\n', 1)
  text.clear()
  assert.deepEqual([text.text.length, text.rowCount], [0, 0])
  text.add('2\n', 1)
  assert.equal(text.text.toString(), '2\n')
})

test('what has a meaning for COPY is escaped in a field', () => {
  assert.equal(copyField('buyer:1.a@b-c_d'), 'buyer:1.a@b-c_d')
  assert.equal(copyField('a\tb\nc\rd\\N\b\v\f'), String.raw`a\tb\nc\rd\\N\b\v\f`)
})

test('a time is written to the millisecond, in UTC', () => {
  assert.equal(copyTime(1_700_000_000_123), '2023-11-14T22:13:20.123Z')
})
