import assert from 'node:assert/strict'
import { test } from 'node:test'

import { problemReplies } from '../http/problems.ts'
import { tokenCharsRememberedMax, tokensRememberedMax } from '../limits.ts'
import { Identity } from './identity.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import type { TokenKey } from './verify-token.ts'

const key: TokenKey = { algorithm: 'ES256', kid: 'k', material: new Uint8Array() }
const ann = new Identity('ann', problemReplies.buyer_mismatch)
const expiresMs = 1_000
const tail = 'S'.repeat(43)

function headerOf(n: number, length = 100): string {
  return `Bearer ${String(n).padEnd(length, 'x')}.${String(n).padStart(43, 'S')}`
}

function rememberedOf(n: number, { length = 100, of = key }: { length?: number; of?: TokenKey } = {}) {
  const authorization = headerOf(n, length)
  return { authorization, token: authorization.slice('Bearer '.length), identity: ann, expiresMs, key: of }
}

test('a token is found as it was, and differs wherever it differs', () => {
  const tokens = new RememberedTokens()
  const authorization = `Bearer head.body.${tail}`
  tokens.add({ authorization, token: `head.body.${tail}`, identity: ann, expiresMs, key })
  assert.equal(tokens.find(authorization, 0), ann)
  for (const other of [`Bearer head.bodY.${tail}`, `bearer head.body.${tail}`, tail, '', authorization.slice(0, -1)])
    assert.equal(tokens.find(other, 0), undefined, other)
  assert.equal(tokens.find(authorization, expiresMs - 1), ann)
  assert.equal(tokens.find(authorization, expiresMs), undefined)
})

test('it is found by itself, however its header is written, and what is nobody’s too', () => {
  const tokens = new RememberedTokens()
  const token = `head.body.${tail}`
  tokens.add({ authorization: `bearer   ${token} `, token, identity: undefined, expiresMs, key })
  assert.ok(tokens.findToken(token, expiresMs - 1) !== undefined)
  for (const other of [`head.bodY.${tail}`, tail, '', ` ${token}`]) assert.equal(tokens.findToken(other, 0), undefined)
  assert.equal(tokens.findToken(token, expiresMs), undefined)
  assert.equal(tokens.count, 1)
})

test('their number is bounded, and one that is used stays', () => {
  const tokens = new RememberedTokens()
  for (let n = 0; n < tokensRememberedMax * 3; n++) {
    tokens.add(rememberedOf(n))
    if (n % 100 === 0) assert.equal(tokens.find(headerOf(0), 0), ann, `${n}`)
    assert.ok(tokens.count <= tokensRememberedMax)
  }
  assert.equal(tokens.find(headerOf(1), 0), undefined)
  assert.equal(tokens.find(headerOf(tokensRememberedMax * 3 - 1), 0), ann)
})

test('so is what they take of memory', () => {
  const tokens = new RememberedTokens()
  const length = 8_000
  for (let n = 0; n < 10_000; n++) tokens.add(rememberedOf(n, { length }))
  assert.ok(tokens.count * length <= tokenCharsRememberedMax && tokens.count > 1_000, `${tokens.count}`)
})

test('those of a withdrawn key are forgotten, in both generations', () => {
  const tokens = new RememberedTokens()
  const other: TokenKey = { ...key }
  const count = tokensRememberedMax / 2 + 10
  for (let n = 0; n < count; n++) {
    tokens.add(rememberedOf(n, { of: n % 2 === 0 ? key : other }))
  }
  tokens.keepOnly((each) => each === other)
  assert.equal(tokens.count, count / 2)
  assert.equal(tokens.find(headerOf(0), 0), undefined)
  assert.equal(tokens.find(headerOf(1), 0), ann)
})
