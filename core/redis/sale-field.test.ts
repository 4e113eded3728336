import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decodeSaleField } from './sale-field.ts'

test("a sale's field is its terms and when its keys expire; of several shards it has their number", () => {
  const terms = { sale: 2, opensAtMs: 7_200_000, closesAtMs: 10_800_000, items: 500, userLimit: 3, holdMs: 60_000 }
  const fields = [
    ['7200000,10800000,500,3,60000,11461', 1],
    ['7200000,10800000,500,3,60000,4,11461', 4],
  ] as const
  for (const [field, shards] of fields) {
    const listed = { terms: { ...terms, shards }, expiresAtMs: 11_461_000 }
    assert.deepEqual(decodeSaleField(2, field), listed)
    assert.deepEqual(decodeSaleField(2, Buffer.from(field)), listed)
  }
})

test('a field that is no terms is refused with its text', () => {
  for (const field of ['', '1,2,3', '1,2,3,4,x,6', '2,2,3,4,5,6', '1,2.5,3,4,5,6', '1,2,3,4,5,0,7', '1,2,3,4,5,x,7'])
    assert.throws(() => decodeSaleField(9, field), {
      code: 'HC_REDIS_REFUSED',
      message: `sale 9 is listed as ${field}`,
    })
})
