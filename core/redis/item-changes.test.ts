import assert from 'node:assert/strict'
import { test } from 'node:test'

import { visitItemChanges } from './item-changes.ts'

function changesIn(hex: string): [index: number, isSold: boolean][] {
  const changes: [number, boolean][] = []
  visitItemChanges(Buffer.from(hex.replaceAll('_', ''), 'hex'), (index, isSold) => changes.push([index, isSold]))
  return changes
}

test('an item that changed is its index and whether it was sold, in the order of the changes', () => {
  assert.deepEqual(changesIn('00000002_00000003_001e8480_001e8481'), [
    [1, false],
    [1, true],
    [1_000_000, false],
    [1_000_000, true],
  ])
})

test('the largest index takes all 31 bits', () => {
  assert.deepEqual(changesIn('ffffffff'), [[0x7fff_ffff, true]])
})

test('no change is nothing, and half a change is none', () => {
  assert.deepEqual(changesIn(''), [])
  assert.deepEqual(changesIn('00000002_0000'), [[1, false]])
})
