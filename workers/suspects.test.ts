import assert from 'node:assert/strict'
import { test } from 'node:test'

import { drainEntriesMax } from '../core/limits.ts'
import { Suspects } from './suspects.ts'

test('a refused entry stands alone after few attempts, wherever it is, and all before it were copied', () => {
  for (let bad = 0; bad < drainEntriesMax; bad++) {
    const suspects = new Suspects()
    let copied = 0
    let attempts = 0
    let size = 0
    do {
      size = Math.min(suspects.entriesMax, drainEntriesMax - copied)
      attempts++
      if (copied + size > bad) suspects.refused(size)
      else {
        suspects.copied(size)
        copied += size
      }
    } while (size > 1 || copied !== bad)
    assert.equal(copied, bad)
    assert.ok(attempts <= Math.ceil(Math.log2(drainEntriesMax)) + 2, `${attempts} attempts for the entry ${bad}`)
    assert.equal(suspects.areSeveral, false)
    suspects.copied(1)
    assert.equal(suspects.entriesMax, drainEntriesMax, 'once it was taken, all is as before')
  }
})

test('a run of no entries, or of more than were allowed, is a bug', () => {
  const suspects = new Suspects()
  suspects.refused(8)
  for (const entryCount of [0, 5]) {
    assert.throws(() => suspects.copied(entryCount), { name: 'AssertionError' })
    assert.throws(() => suspects.refused(entryCount), { name: 'AssertionError' })
  }
})
