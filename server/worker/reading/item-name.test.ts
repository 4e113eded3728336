import assert from 'node:assert/strict'
import { test } from 'node:test'

import { drawItem } from './item-drawing.ts'
import { itemLook } from './item-look.ts'
import { itemName } from './item-name.ts'

test('a name is the same for ever', () => {
  assert.equal(itemName(498_732, 1), 'Golden Banana Pancake with Butter and Lemons')
  assert.equal(itemName(498_732, 2), 'Cheerful Poppyseed Blini with Caramel and Gooseberries')
  assert.equal(itemName(498_733, 999_999_999_999_999), 'Crisp Vanilla Flapjack with Apricot and Pistachios')
})

test('all items of a sale of a million have different names', () => {
  // The words of each name as one number: a million texts take eight times as long.
  const numbers = new Map<string, number>()
  const numberOf = (word: string): number => {
    const number = numbers.get(word) ?? numbers.size
    numbers.set(word, number)
    return number
  }
  const names = new Float64Array(1_000_000)
  for (let index = 1; index <= names.length; index++) {
    const { manner, batter, kind, syrup, topping } = itemLook(498_732, index)
    const words = [manner, batter.word, kind.word, syrup.word, topping.word]
    names[index - 1] = words.reduce((name, word) => name * 128 + numberOf(word), 0)
    if (index > 10_000) continue
    assert.equal(itemName(498_732, index).replace(/ with (\S+) and /, ' $1 '), words.join(' '))
  }
  assert.ok(numbers.size <= 128)
  for (const word of numbers.keys()) assert.match(word, /^[A-Z][a-z]+$/)
  names.sort()
  assert.ok(names.every((name, at) => name !== names[at - 1]))
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
