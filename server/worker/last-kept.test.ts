import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LastKept } from './last-kept.ts'

test('above its bound the value that was kept the longest ago goes', () => {
  const kept = new LastKept<number, string>(2)
  for (const key of [1, 2, 3]) kept.keep(key, `value ${key}`)
  assert.deepEqual(
    [1, 2, 3].map((key) => kept.get(key)),
    [undefined, 'value 2', 'value 3'],
  )
})

test('what is kept again is the last one, and is there once', () => {
  const kept = new LastKept<number, string>(2)
  for (const key of [1, 2, 1, 3]) kept.keep(key, `value ${key}`)
  assert.deepEqual(
    [1, 2, 3].map((key) => kept.get(key)),
    ['value 1', undefined, 'value 3'],
  )
})
