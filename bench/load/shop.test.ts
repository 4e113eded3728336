import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Shop, Walk } from './shop.ts'

const shopOf = (overrides: Partial<ConstructorParameters<typeof Shop>[0]> = {}) =>
  new Shop({
    sale: { id: 7, items: 1_000 },
    users: 50,
    fresh: 1,
    hot: 0,
    seed: 1,
    generator: 0,
    generators: 1,
    ...overrides,
  })

const picks = (shop: Shop, count: number) => Array.from({ length: count }, () => shop.pickItem())

test('a walk visits every item once, whatever the stock', () => {
  for (const items of [1, 2, 7, 10, 100, 720, 1_000]) {
    const walk = new Walk(items, 0.3)
    const visited = new Set(Array.from({ length: items }, (_, n) => walk.itemAt(n)))
    assert.equal(visited.size, items)
    assert.equal(Math.min(...visited), 1)
    assert.equal(Math.max(...visited), items)
  }
})

test('generators share the fresh items: together they ask for each once', () => {
  const all = [0, 1, 2].flatMap((generator) => picks(shopOf({ generator, generators: 3 }), generator === 0 ? 334 : 333))
  assert.equal(new Set(all).size, 1_000)
})

test('when the fresh items are used up it says so and begins again', () => {
  const shop = shopOf()
  picks(shop, 1_000)
  assert.equal(shop.usedUpMs, undefined)
  assert.ok(shop.pickItem() <= 1_000)
  assert.notEqual(shop.usedUpMs, undefined)
})

test('a checkout that is not fresh asks for an item that was asked for before', () => {
  const shop = shopOf({ fresh: 0.5 })
  const seen = new Set<number>()
  let again = 0
  for (const item of picks(shop, 500)) {
    if (seen.has(item)) again += 1
    seen.add(item)
  }
  assert.ok(again > 150 && again < 350, `${again} of 500`)
})

test('hot items are the only ones asked for', () => {
  assert.deepEqual(new Set(picks(shopOf({ hot: 3 }), 200)), new Set([1, 2, 3]))
})

test('a new sale has all its items fresh', () => {
  const shop = shopOf()
  picks(shop, 900)
  shop.open({ id: 8, items: 500 })
  assert.equal(shop.saleId, 8)
  assert.equal(new Set(picks(shop, 500)).size, 500)
})
