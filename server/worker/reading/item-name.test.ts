import assert from 'node:assert/strict'
import { test } from 'node:test'

import { itemName } from './item-name.ts'

test('a name is the same for ever', () => {
  assert.equal(itemName(498_732, 1), 'Lucky Apricot Horse')
  assert.equal(itemName(498_732, 2), 'Earnest Harlequin Armadillo')
  assert.equal(itemName(498_733, 999_999_999_999_999), 'Steady Teal Marmoset')
})

test('all items of a sale of 100,000 have different names', () => {
  const names = new Set<string>()
  for (let index = 1; index <= 100_000; index++) names.add(itemName(498_732, index))
  assert.equal(names.size, 100_000)
})
