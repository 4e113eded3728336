import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ItemChange, visitItemChanges } from './item-changes.ts'

function changesIn(hex: string, hasMore = false): { changes: [index: number, change: ItemChange][]; through: number } {
  const changes: [number, ItemChange][] = []
  const bytes = Buffer.from(hex.replaceAll('_', ''), 'hex')
  const through = visitItemChanges(bytes, { hasMore }, (index, change) => changes.push([index, change]))
  return { changes, through }
}

test('an item that changed is its index and whether it was sold, in the order of the changes', () => {
  const { changes, through } = changesIn('00000002_00000003_001e8480_001e8481')
  assert.deepEqual(changes, [
    [1, 'held'],
    [1, 'sold'],
    [1_000_000, 'held'],
    [1_000_000, 'sold'],
  ])
  assert.equal(through, 16)
})

test('an item that is sold and at once held was released', () => {
  const { changes } = changesIn('00000003_00000002_00000002_00000003_00000004_fffffffe_ffffffff_fffffffe')
  assert.deepEqual(changes, [
    [1, 'released'],
    [1, 'held'],
    [1, 'sold'],
    [2, 'held'],
    [0x7fff_ffff, 'held'],
    [0x7fff_ffff, 'released'],
  ])
})

test('the first half of a release waits for the second one', () => {
  assert.deepEqual(changesIn('00000002_00000003', true), { changes: [[1, 'held']], through: 4 })
  assert.deepEqual(changesIn('00000002_00000003_00000002', true).changes.at(-1), [1, 'released'])
  assert.deepEqual(changesIn('00000003_00000005', true), { changes: [[1, 'sold']], through: 4 })
})

test('the largest index takes all 31 bits', () => {
  assert.deepEqual(changesIn('ffffffff').changes, [[0x7fff_ffff, 'sold']])
})

test('no change is nothing, and half a change is none', () => {
  assert.deepEqual(changesIn(''), { changes: [], through: 0 })
  assert.deepEqual(changesIn('00000002_0000'), { changes: [[1, 'held']], through: 4 })
})
