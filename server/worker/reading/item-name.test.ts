import assert from 'node:assert/strict'
import { test } from 'node:test'

import { drawItem } from './item-drawing.ts'
import { itemName } from './item-name.ts'

test('a name is the same for ever', () => {
  assert.equal(itemName(498_732, 1), 'Golden Banana Pancake with Butter and Lemons')
  assert.equal(itemName(498_732, 2), 'Cheerful Poppyseed Blini with Caramel and Gooseberries')
  assert.equal(itemName(498_733, 999_999_999_999_999), 'Crisp Vanilla Flapjack with Apricot and Pistachios')
})

test('all items of a sale of a million have different names', () => {
  const names = new Set<string>()
  for (let index = 1; index <= 1_000_000; index++) names.add(itemName(498_732, index))
  assert.equal(names.size, 1_000_000)
})

test('each item has a picture of its own, the same for ever, with nothing in it but shapes', () => {
  const pictures = Array.from({ length: 2_000 }, (_, at) => drawItem(498_732, at + 1))
  assert.equal(new Set(pictures).size, pictures.length)
  assert.deepEqual(
    pictures.slice(0, 20),
    Array.from({ length: 20 }, (_, at) => drawItem(498_732, at + 1)),
  )
  for (const picture of pictures) {
    assert.ok(!/NaN|undefined|Infinity/.test(picture), picture)
    assert.ok(picture.length < 8_192, `${picture.length} bytes`)
    const elements = new Set([...picture.matchAll(/<(\w+)/g)].map(([, name]) => name))
    for (const name of elements)
      assert.ok(['svg', 'title', 'g', 'path', 'rect', 'circle', 'ellipse'].includes(name ?? ''), name)
  }
})
