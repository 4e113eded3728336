import assert from 'node:assert/strict'
import { test } from 'node:test'

import { acceptedFormat } from './accept.ts'

const json = 'application/json'
const lines = 'application/x-ndjson'

test('the header Accept chooses the format, JSON where it has no preference', () => {
  for (const [accept, format] of [
    [undefined, json],
    ['', json],
    ['*/*', json],
    ['application/*', json],
    [json, json],
    [lines, lines],
    ['Application/X-NDJSON', lines],
    [`${json}, ${lines}`, json],
    [`${json};q=0.5, ${lines}`, lines],
    [`${lines};q=0.9, */*;q=0.1`, lines],
    [`${json};q=0, */*`, lines],
    [`text/html, application/xhtml+xml, */*;q=0.8`, json],
    [`${lines}; charset=utf-8`, lines],
    ['text/csv', undefined],
    [`${json};q=0`, undefined],
    [`${json};q=2`, undefined],
    ['json', undefined],
    [',;,', undefined],
  ] as const) {
    assert.equal(acceptedFormat(accept), format, accept)
  }
})
