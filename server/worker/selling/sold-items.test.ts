import assert from 'node:assert/strict'
import { test } from 'node:test'
import { soldIndexMax, soldSalesMax } from '../../../core/limits.ts'
import { SoldItems } from './sold-items.ts'

test('what was seen sold is known for its sale and its index alone', () => {
  const sold = new SoldItems()
  sold.decidedIn('3-17')
  for (const index of ['1', '8', '4000']) sold.learn(5, index)
  assert.equal(sold.epoch, 3)
  assert.deepEqual(
    ['0', '1', '2', '7', '8', '9', '4000', '4001', '99999999999'].filter((index) => sold.has(5, index)),
    ['1', '8', '4000'],
  )
  assert.ok(!sold.has(4, '1') && !sold.has(6, '1'))
})

test('another epoch knows nothing of what was sold before, and the same one all of it', () => {
  const sold = new SoldItems()
  sold.decidedIn('3-17')
  sold.learn(5, '1')
  sold.decidedIn('3-18')
  assert.ok(sold.has(5, '1'))
  sold.decidedIn('4-1')
  assert.deepEqual([sold.has(5, '1'), sold.epoch], [false, 4])
  sold.learn(5, '2')
  sold.clear()
  assert.deepEqual([sold.has(5, '2'), sold.epoch], [false, 0])
})

test('the newest sales are kept, and indexes up to the bound', () => {
  const sold = new SoldItems()
  sold.decidedIn('1-1')
  const sales = Array.from({ length: soldSalesMax + 1 }, (_, at) => 10 + at)
  for (const sale of sales) sold.learn(sale, '1')
  sold.learn(10, '1')
  assert.deepEqual(
    sales.filter((sale) => sold.has(sale, '1')),
    sales.slice(1),
  )
  sold.learn(12, String(soldIndexMax))
  sold.learn(12, String(soldIndexMax + 1))
  assert.deepEqual([sold.has(12, String(soldIndexMax)), sold.has(12, String(soldIndexMax + 1))], [true, false])
})
