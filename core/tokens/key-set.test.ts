import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import { tokenKeysMax } from '../limits.ts'
import { readKeys } from './key-set.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const short = generateKeyPairSync('rsa', { modulusLength: 1_024 })
const jwkOf = (key: { export(options: { format: 'jwk' }): object }) => key.export({ format: 'jwk' })
const pemOf = (key: typeof ec.publicKey) => key.export({ type: 'spki', format: 'pem' }).toString()
const own = { algorithms: ['ES256', 'RS256'], isOwn: true } as const
const setOf = (...keys: object[]) => JSON.stringify({ keys })

const secret = (bytes: number) => setOf({ kty: 'oct', k: Buffer.alloc(bytes, 1).toString('base64url') })

function problemOf(text: string, reading: Parameters<typeof readKeys>[1] = own): string {
  const read = readKeys(text, reading)
  assert.ok('problem' in read, text)
  return read.problem
}

function keysOf(text: string, reading: Parameters<typeof readKeys>[1] = own) {
  const read = readKeys(text, reading)
  assert.ok('keys' in read, JSON.stringify(read))
  return read.keys
}

test('keys are read out of a set, a single key, and PEM, without what nobody needs', () => {
  const jwk = { ...jwkOf(ec.publicKey), kid: 'a', use: 'sig', key_ops: ['verify'], x5c: ['certificate'] }
  const { use: _use, key_ops: _operations, x5c: _certificate, ...needed } = jwk
  assert.deepEqual(keysOf(setOf(jwk)), [needed])
  assert.deepEqual(keysOf(JSON.stringify(jwk)), [needed])
  assert.deepEqual(keysOf(`${pemOf(ec.publicKey)}\n${pemOf(rsa.publicKey)}`), [
    jwkOf(ec.publicKey),
    jwkOf(rsa.publicKey),
  ])
})

test('a private key is refused in every form, and nothing of it is repeated', () => {
  const { d } = jwkOf(ec.privateKey) as { d: string }
  const pem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const text of [setOf(jwkOf(ec.privateKey)), setOf(jwkOf(rsa.privateKey)), pem, pemOf(ec.publicKey) + pem]) {
    assert.match(problemOf(text), /has a private key: give it public ones alone/)
    assert.ok(!problemOf(text).includes(d))
  }
  assert.match(problemOf(setOf(jwkOf(ec.privateKey)), { ...own, isOwn: false }), /no key/)
})

test('what is no set of keys, or has none that can be used, says why', () => {
  for (const [text, problem] of [
    ['', /neither a JWKS \(JSON\) nor PEM/],
    ['{"keys":', /neither/],
    ['[]', /no JWKS/],
    ['{"keys":{}}', /no JWKS/],
    ['{"keys":[7]}', /no JWKS/],
    ['{"keys":[]}', /no key of the algorithms/],
    [setOf(jwkOf(short.publicKey)), /key 1 has 1024 bits: RSA needs 2048/],
    [setOf(jwkOf(ec.publicKey), { ...jwkOf(ec.publicKey), use: 'enc' }), /key 2 is not for signatures/],
    [setOf({ ...jwkOf(ec.publicKey), key_ops: ['sign'] }), /not for checking/],
    [setOf({ ...jwkOf(ec.publicKey), kid: 7 }), /kid that is no text/],
    [setOf({ ...jwkOf(ec.publicKey), alg: 'ES384' }), /of no algorithm that APP_JWT_ALGORITHMS allows/],
    [setOf({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }), /cannot be decoded/],
    [setOf({ kty: 'oct', k: 'A'.repeat(43) }), /a secret \(kty oct\): only for APP_JWT_ALGORITHMS/],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /PEM that cannot be decoded/],
    ['-----BEGIN NONSENSE-----\nAAAA\n-----END NONSENSE-----', /no public key/],
    [setOf(...Array.from({ length: tokenKeysMax + 1 }, () => jwkOf(ec.publicKey))), /33 keys: 32 at most/],
  ] as const)
    assert.match(problemOf(text), problem, text.slice(0, 80))
})

test('a secret is taken of a file for the algorithm that names it, if it is long enough, and never of a published set', () => {
  const hmac = { algorithms: ['HS256', 'HS512'], isOwn: true } as const
  assert.equal(keysOf(secret(32), hmac).length, 1)
  assert.match(problemOf(secret(31), hmac), /shorter than the hash/)
  assert.match(problemOf(secret(32), { ...hmac, isOwn: false }), /no key/)
})
