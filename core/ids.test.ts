import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatCode,
  formatItemId,
  isUserId,
  NonceSource,
  nonceLength,
  parseCode,
  parseItemId,
  userIdLengthMax,
} from './ids.ts'

test('an item id is a sale and an index, both decimal without sign or leading zeros', () => {
  assert.deepEqual(parseItemId('498732-17'), { sale: 498_732, index: '17' })
  assert.deepEqual(parseItemId('0-0'), { sale: 0, index: '0' })
  assert.deepEqual(parseItemId('999999999999999-999999999999999'), {
    sale: 999_999_999_999_999,
    index: '999999999999999',
  })
  const malformed = [
    '',
    '-',
    '-1',
    '1',
    '1-',
    '-1-1',
    '1--1',
    '01-1',
    '1-01',
    '1-1-',
    '1-1-1',
    ' 1-1',
    '1-1 ',
    '+1-1',
    '1e3-1',
  ]
  const tooLong = ['1-9223372036854775808', '9223372036854775808-1', '1-1234567890123456']
  for (const text of [...malformed, ...tooLong, '１-1', '1-1\0', '2147483648'])
    assert.equal(parseItemId(text), undefined, text)
})

test('a code is an item id and 16 characters of base64url', () => {
  const nonce = 'abcdEFGH0123_-xy'
  assert.deepEqual(parseCode(`498732-17-${nonce}`), { sale: 498_732, index: '17', nonce })
  const dashes = '-'.repeat(nonceLength)
  assert.deepEqual(parseCode(`1-2-${dashes}`), { sale: 1, index: '2', nonce: dashes })
  for (const text of [
    '',
    nonce,
    `1-${nonce}`,
    `1-2-${nonce}x`,
    `1-2-${nonce.slice(1)}`,
    `1-2-${nonce.slice(1)}=`,
    `1-2-${nonce.slice(1)}é`,
  ]) {
    assert.equal(parseCode(text), undefined, text)
  }
})

test('what is formatted can be parsed again', () => {
  const source = new NonceSource()
  fc.assert(
    fc.property(fc.nat({ max: 1e9 }), fc.nat({ max: 1e9 }), (sale, index) => {
      const nonce = source.next()
      assert.deepEqual(parseItemId(formatItemId(sale, index)), { sale, index: String(index) })
      assert.deepEqual(parseCode(formatCode(sale, index, nonce)), { sale, index: String(index), nonce })
    }),
  )
})

test('no text makes a parser throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      parseItemId(text)
      parseCode(text)
      isUserId(text)
    }),
  )
})

test('a user id has 1 to 255 characters of a safe alphabet', () => {
  const ofProviders = [
    'auth0|5f7c8ec7',
    'jane+sale@example.com',
    "o'brien@example.com",
    'jo_example.org#EXT#@example.com',
    'ab+/c==',
  ]
  const good = [
    'a',
    'tenant:42',
    'a.b_c-d@e:f',
    'a/b',
    '{a}',
    'a,b;(c)*?%[d]^`~$!',
    'x'.repeat(userIdLengthMax),
    ...ofProviders,
  ]
  for (const text of good) assert.ok(isUserId(text), text)
  for (const text of [
    '',
    'x'.repeat(userIdLengthMax + 1),
    'a b',
    'a&b',
    'a"b',
    'a\\b',
    '<b>',
    'ü',
    'a\x7f',
    'a\n',
    'a\0',
    '\u{1F600}',
  ]) {
    assert.ok(!isUserId(text), text)
  }
})

test('nonces issued in one instant all differ, across the blocks of random bytes that they come from', () => {
  const source = new NonceSource()
  const nonces = Array.from({ length: 5_000 }, () => source.next())
  assert.equal(new Set(nonces).size, nonces.length)
  for (const nonce of nonces) assert.match(nonce, /^[A-Za-z0-9_-]{16}$/)
})
