import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { isHmac } from '../tokens/algorithms.ts'
import { allowedAlgorithms } from './buyers.ts'
import { loadConfig } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'hotcakes-buyers-'))
after(() => rmSync(folder, { recursive: true }))
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const file = (name: string, key: typeof publicKey): string => {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify({ keys: [key.export({ format: 'jwk' })] }))
  return path
}
const keys = file('public.json', publicKey)
const url = 'https://id.shop.example/jwks.json'
const claims = { APP_JWT_ISSUER: 'https://id.shop.example/', APP_JWT_AUDIENCE: 'shop' }

function load(env: Record<string, string>) {
  return loadConfig({ env: { APP_BUYERS: 'signed', ...env } })
}

test('anybody may be any buyer unless buyers are signed, and settings without effect are named', () => {
  assert.equal(loadConfig({ env: {} }).buyers.mode, 'open')
  const { warnings } = loadConfig({ env: { APP_JWT_KEYS: '/nowhere', APP_RATE_LIMIT_PER_BUYER: '5' } })
  assert.deepEqual(warnings, [
    'without APP_BUYERS=signed anybody may write any user_id: APP_JWT_KEYS, APP_RATE_LIMIT_PER_BUYER has no effect',
  ])
})

test('signed buyers need keys that can be used; each slip names its way out', () => {
  const secret = file('private.json', privateKey)
  for (const [env, problem] of [
    [{}, /APP_BUYERS=signed needs APP_JWT_KEYS: .*npm run token/],
    [{ APP_JWT_KEYS: join(folder, 'none.json') }, /APP_JWT_KEYS must be a file .* cannot be read \(ENOENT\)/],
    [{ APP_JWT_KEYS: folder }, /cannot be read \(EISDIR\)/],
    [{ APP_JWT_KEYS: secret }, /private key: give it public ones alone/],
    [{ APP_JWT_KEYS: keys, APP_JWT_ALGORITHMS: 'RS256' }, /APP_JWT_ALGORITHMS allows/],
    [{ APP_JWT_KEYS: keys, APP_JWT_ALGORITHMS: 'ES256,none' }, /entry 2 is not one of them \(none is no signature\)/],
    [{ APP_JWT_KEYS: keys, APP_JWT_ALGORITHMS: ',' }, /APP_JWT_ALGORITHMS must be some of/],
    [{ APP_JWT_KEYS: keys, APP_JWT_BACKEND_SCOPE: 'two words' }, /APP_JWT_BACKEND_SCOPE must be one scope/],
    [{ APP_JWT_KEYS: url }, /is a URL, whose keys sign for others too: set APP_JWT_ISSUER and APP_JWT_AUDIENCE/],
    [{ ...claims, APP_JWT_KEYS: 'http://id.shop.example/jwks.json' }, /must be an https:\/\/ URL/],
    [{ ...claims, APP_JWT_KEYS: 'http://127.0.0.1.evil.example/' }, /must be an https:\/\/ URL/],
    [{ ...claims, APP_JWT_KEYS: 'ftp://id.shop.example/' }, /must be an https:\/\/ URL/],
    [{ ...claims, APP_JWT_KEYS: 'https://me:hush@id.shop.example/' }, /a URL without user and password/],
    [{ ...claims, APP_JWT_KEYS: url, APP_JWT_ALGORITHMS: 'HS256' }, /APP_JWT_KEYS must be a file/],
  ] as const) {
    assert.throws(
      () => load(env),
      ({ code, message }: { code: string; message: string }) => {
        assert.match(message, problem)
        assert.ok(!message.includes('hush'))
        return code === 'HC_CONFIG'
      },
    )
  }
})

test('of secrets none counts unless it is named; a file without issuer and audience is warned of', () => {
  const { buyers, warnings } = load({ APP_JWT_KEYS: keys })
  assert.deepEqual(warnings, [
    'APP_JWT_ISSUER and APP_JWT_AUDIENCE is not set: a token of these keys counts, whoever it was meant for',
  ])
  assert.ok(allowedAlgorithms(buyers).length >= 9)
  assert.ok(!allowedAlgorithms(buyers).some(isHmac))
  assert.deepEqual(load({ ...claims, APP_JWT_KEYS: keys }).warnings, [])
  for (const loopback of ['http://127.0.0.1:9/k', 'http://localhost/k', 'http://[::1]:9/k'])
    assert.equal(load({ ...claims, APP_JWT_KEYS: loopback }).buyers.keys, loopback)
})
