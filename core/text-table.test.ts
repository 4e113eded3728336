import assert from 'node:assert/strict'
import { test } from 'node:test'

import { textTable } from './text-table.mjs'

test('columns are as wide as they need; names begin at the left and numbers end at the right', () => {
  const rows = [
    ['ann', '1', ''],
    ['barbara', '1,000', 'late'],
  ]
  assert.deepEqual(textTable(['buyer', 'items', ''], rows), [
    'buyer    items', //
    'ann          1',
    'barbara  1,000  late',
  ])
  assert.deepEqual(textTable(['items', 'who'], [['7', 'ann']], { left: [1] }), ['items  who', '    7  ann'])
})
