import assert from 'node:assert/strict'
import { test } from 'node:test'

import { acceptedEncoding } from './accept-encoding.ts'

test('the best encoding that a client takes is chosen, and none that it refuses', () => {
  for (const [header, expected] of [
    ['', undefined],
    ['identity', undefined],
    ['gzip, deflate, br, zstd', 'br'],
    ['GZIP', 'gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip'],
    ['*', 'br'],
    ['*;q=0.1, br;q=0', 'gzip'],
    ['gzip;q=0, *;q=0', undefined],
    ['br ; q=x', undefined],
    [',,;q=1', undefined],
  ] as const)
    assert.equal(acceptedEncoding(header), expected, header)
})
