import assert from 'node:assert/strict'
import { test } from 'node:test'

import { queryLengthMax } from '../limits.ts'
import { malformedReplies, RequestReader } from './requests.ts'

const nonce = 'AZaz09_-AZaz09_-'

function readCheckout(query: string) {
  const reader = new RequestReader()
  const malformed = reader.checkout(query)
  return malformed ?? { user: reader.user, sale: reader.item.sale, index: reader.item.index }
}

function escaped(text: string): string {
  return text.replaceAll(/./g, (char) => `%${char.charCodeAt(0).toString(16)}`)
}

function readPurchase(query: string) {
  const reader = new RequestReader()
  return reader.purchase(query) ?? reader.code
}

test('a checkout is read in any order of its parameters, and others are ignored', () => {
  const expected = { user: 'a.B_9:@-', sale: 482_003, index: '55' }
  assert.deepEqual(readCheckout('user_id=a.B_9:@-&id=482003-55'), expected)
  assert.deepEqual(readCheckout('id=482003-55&user_id=a.B_9:@-'), expected)
  assert.deepEqual(readCheckout('user_id=a.B_9:@-&item_id=482003-55'), expected)
  assert.deepEqual(readCheckout('x=1&user_id=a.B_9:@-&&my_id=7-7&user_ids=no&id=482003-55&y&=&z='), expected)
})

test('percent-encoding in names and values means what it encodes', () => {
  const expected = { user: 'a:b', sale: 1, index: '2' }
  assert.deepEqual(readCheckout('user_id=a%3Ab&id=1-2'), expected)
  assert.deepEqual(readCheckout('user%5Fid=a:b&%69d=1%2D2'), expected)
  assert.deepEqual(readCheckout('user_id=a%3ab&id=%31-2&note=100%&utf=%ff'), expected)
  assert.deepEqual(readPurchase(`code=3-4-${nonce.replace('_', '%5F')}`), { sale: 3, index: '4', nonce })
})

test('an encoded separator is part of the value, and so makes it malformed', () => {
  assert.equal(readCheckout('user_id=a%26id%3D1-2'), 'id_missing')
  assert.equal(readCheckout('user_id=a%26b&id=1-2'), 'user_id_malformed')
  assert.equal(readCheckout('user_id%3Da&id=1-2'), 'user_id_missing')
  assert.equal(readCheckout('x%26user_id=a&id=1-2'), 'user_id_missing')
})

test('what is no text at all makes its parameter malformed', () => {
  for (const value of ['%', '%4', '%zz', '%ff', '%C3%28', '%00', 'a+b', 'a%20b', 'ü', '%C3%BC']) {
    assert.equal(readCheckout(`user_id=${value}&id=1-2`), 'user_id_malformed', value)
  }
})

test('a parameter that is missing, empty or repeated is named', () => {
  assert.equal(readCheckout(''), 'user_id_missing')
  assert.equal(readCheckout('user_id&id=1-2'), 'user_id_missing')
  assert.equal(readCheckout('user_id=a'), 'id_missing')
  assert.equal(readCheckout('user_id=&id=1-2'), 'user_id_malformed')
  assert.equal(readCheckout('user_id=a&id='), 'id_malformed')
  assert.equal(readCheckout('user_id=a&user_id=a&id=1-2'), 'user_id_repeated')
  assert.equal(readCheckout('user_id=a&id=1-2&id=1-2'), 'id_repeated')
  assert.equal(readCheckout('user_id=a&id=1-2&item_id=1-2'), 'id_repeated')
  assert.equal(readCheckout('user_id=a&id=1-2&%69d=1-2'), 'id_repeated')
  assert.equal(readPurchase('cod=1-2'), 'code_missing')
  assert.equal(readPurchase(`code=1-2-${nonce}&code=1-2-${nonce}`), 'code_repeated')
})

test('ids that are no ids are malformed, whatever their size', () => {
  for (const id of ['-1', '1', '1-', '-', '1--1', '1-1-1', '01-1', '1-01', '1-1 ', '1.5-1', '1-1e3', '0x1-1', '１-1']) {
    assert.equal(readCheckout(`user_id=a&id=${id}`), 'id_malformed', id)
  }
  assert.equal(readCheckout(`user_id=a&id=1-${2n ** 63n}`), 'id_malformed')
  assert.equal(readCheckout(`user_id=a&id=${2n ** 63n}-1`), 'id_malformed')
  assert.deepEqual(readCheckout(`user_id=a&id=1-${2n ** 31n}`), { user: 'a', sale: 1, index: '2147483648' })
  assert.deepEqual(readCheckout('user_id=a&id=0-0'), { user: 'a', sale: 0, index: '0' })
  assert.deepEqual(readCheckout(`user_id=a&id=1-${'9'.repeat(15)}`), { user: 'a', sale: 1, index: '9'.repeat(15) })
  for (const code of ['1-2', `1-2-${nonce}x`, `1-2-${nonce.slice(1)}`, `1-2-${nonce.slice(1)}!`, `1-${nonce}`, nonce]) {
    assert.equal(readPurchase(`code=${code}`), 'code_malformed', code)
  }
})

test('a user id has at most 255 characters, and a query its bound', () => {
  assert.deepEqual(readCheckout(`user_id=${'u'.repeat(255)}&id=1-2`), { user: 'u'.repeat(255), sale: 1, index: '2' })
  assert.equal(readCheckout(`user_id=${'u'.repeat(256)}&id=1-2`), 'user_id_malformed')
  assert.equal(readCheckout(`user_id=a&id=1-2&x=${'x'.repeat(queryLengthMax)}`), 'query_length')
  assert.equal(readPurchase(`x=${'x'.repeat(queryLengthMax)}`), 'query_length')
})

test('the longest well-formed checkout fits into the bound with every character escaped', () => {
  const id = `${'9'.repeat(15)}-${'9'.repeat(15)}`
  const query = `user_id=${escaped('u'.repeat(255))}&item_id=${escaped(id)}`
  assert.deepEqual(readCheckout(query), { user: 'u'.repeat(255), sale: 999_999_999_999_999, index: '9'.repeat(15) })
})

test('every malformed request has a 400 whose detail names the parameter', () => {
  for (const [malformed, { head, body }] of Object.entries(malformedReplies)) {
    const problem = JSON.parse(body) as Record<string, unknown>
    assert.equal(head.status, 400)
    assert.equal(problem['code'], 'invalid_request')
    const parameter = /^(user_id|id|code)_/.exec(malformed)?.[1]
    if (parameter !== undefined) assert.match(String(problem['detail']), new RegExp(`parameter ${parameter} `))
  }
})
