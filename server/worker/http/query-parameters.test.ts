import assert from 'node:assert/strict'
import { test } from 'node:test'

import { pageRowsDefault, pageRowsMax, queryLengthMax } from '../limits.ts'
import { pathWith, QueryParameters } from './query-parameters.ts'

function detailOf({ malformed }: QueryParameters): string {
  return (JSON.parse(malformed?.body ?? '{}') as { detail: string }).detail
}

test('parameters that are well-formed have their values, others are ignored, none is not given', () => {
  const query = new QueryParameters('limit=7&state=held&x=%zz&after=%31%32')
  assert.equal(query.limit(), 7)
  assert.equal(query.oneOf('state', ['sold', 'held']), 'held')
  assert.equal(query.integer('after', { max: 12 }), 12)
  assert.equal(query.integer('sale', { max: 12 }), undefined)
  assert.equal(query.malformed, undefined)
  assert.equal(new QueryParameters('').limit(), pageRowsDefault)
})

test('the first that is malformed is the answer, and names what is allowed but not what was sent', () => {
  const query = new QueryParameters('after=<script>&limit=0&limit=1')
  assert.equal(query.integer('after', { max: 5 }), undefined)
  query.limit()
  assert.equal(detailOf(query), 'The parameter after must be a whole number from 0 to 5.')
  for (const wrong of ['', '-1', '01', '1.0', '1e3', ' 1', String(pageRowsMax + 1), '9'.repeat(16)]) {
    const one = new QueryParameters(`limit=${encodeURIComponent(wrong)}`)
    one.limit()
    assert.match(detailOf(one), /limit must be a whole number from 1/, wrong)
  }
  const twice = new QueryParameters('limit=1&limit=1')
  twice.limit()
  assert.match(detailOf(twice), /more than once/)
  assert.match(detailOf(new QueryParameters(`x=${'y'.repeat(queryLengthMax)}`)), /longer than/)
})

test('a path carries what is given', () => {
  assert.equal(pathWith('/items', { sale: 1, state: undefined, after: 7 }), '/items?sale=1&after=7')
})
