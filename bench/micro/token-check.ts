import { hash } from 'node:crypto'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'

import type { Algorithm } from '../../core/tokens/algorithms.ts'
import { Identity } from '../../server/worker/buyers/identity.ts'
import { RememberedTokens } from '../../server/worker/buyers/remembered-tokens.ts'
import { lookAt } from '../../server/worker/buyers/token-look.ts'
import { importedKey, type TokenKey, verifiedClaims } from '../../server/worker/buyers/verify-token.ts'
import { problemReplies } from '../../server/worker/http/problems.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

const mismatch = problemReplies.buyer_mismatch
const rules = { issuer: 'issuer', audience: 'audience', leewaySeconds: 5, claim: 'sub', backendScope: '', mismatch }
const algorithms = ['RS256', 'ES256', 'EdDSA'] as const
const farMs = Number.MAX_SAFE_INTEGER

interface Signed {
  readonly key: TokenKey
  readonly sign: (claims: object) => Promise<string>
}

async function signedWith(algorithm: Algorithm): Promise<Signed> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key' }
  const key = await importedKey(jwk as { kty: string }, algorithm)
  if (key === undefined) throw new Error(`${algorithm} is not there`)
  const sign = (claims: object) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: algorithm, kid: 'key' }).sign(privateKey)
  return { key, sign }
}

function claimsOf(user: string): object {
  const now = Math.floor(Date.now() / 1_000)
  return { iss: 'issuer', aud: 'audience', sub: user, iat: now, exp: now + 86_400, scope: 'openid profile email' }
}

/** What the last characters of a signature are makes it a bad one, which costs as much as a good one. */
function forged(token: string): string {
  return `${token.slice(0, -12)}AAAAAAAAAAAA`
}

/** Each time as uWebSockets.js gives it: a new text, whose hash nobody knows yet. */
function rememberedCase(tokens: readonly string[], key: TokenKey): Case {
  const remembered = new RememberedTokens()
  const byHash = new Map<string, Identity>()
  const byWhole = new Map<string, Identity>()
  const identity = new Identity('ann', mismatch)
  for (const token of tokens) {
    remembered.add({ authorization: token, token, identity, expiresMs: farMs, key })
    byHash.set(hash('sha256', token, 'base64'), identity)
    byWhole.set(token, identity)
  }
  const received = tokens.map((token) => Buffer.from(token))
  const ways: Readonly<Record<string, (text: string) => Identity | undefined>> = {
    'by the end of its signature': (text) => remembered.find(text, Date.now()),
    'by a hash of it': (text) => byHash.get(hash('sha256', text, 'base64')),
    'by the whole of it': (text) => byWhole.get(text),
    'its text alone': (text) => (text === '' ? undefined : identity),
  }
  const candidates = Object.entries(ways).map(([name, find]) => {
    return { name, ...over(received, (bytes) => find(bytes.toString('latin1'))?.buyer) }
  })
  const length = Math.round(received.reduce((sum, { length: bytes }) => sum + bytes, 0) / received.length)
  return { name: `a remembered token of ${length} characters`, operation: 'request', candidates }
}

/** What a forger gets who doesn't name a key, an issuer and an audience of ours. */
async function lookCase({ sign }: Signed, count: number): Promise<Case> {
  const good = claimsOf('ann')
  const kinds: Readonly<Record<string, string>> = {
    expired: await sign({ ...good, exp: 1 }),
    'another issuer': await sign({ ...good, iss: 'other' }),
    'another audience': await sign({ ...good, aud: 'other' }),
    'no JWT': 'x'.repeat(300),
    'no algorithm': `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.AAAA`,
    '4,000 characters': await sign({ ...good, exp: 1, roles: 'x'.repeat(2_700) }),
  }
  const looking = { ...rules, algorithms: new Set<Algorithm>(algorithms) }
  const nowSeconds = Math.floor(Date.now() / 1_000)
  const candidates = Object.entries(kinds).map(([name, token]) => {
    const inputs = Array.from({ length: count }, () => token)
    return { name, ...over(inputs, (text) => typeof lookAt(text, looking, nowSeconds)) }
  })
  return { name: 'a forged token, refused before its signature', operation: 'request', candidates }
}

async function signatureCase(all: readonly (Signed & { readonly name: string })[], count: number): Promise<Case> {
  const candidates = await Promise.all(
    all.flatMap(({ name, key, sign }) =>
      ['good', 'forged'].map(async (kind) => {
        const token = await sign(claimsOf('ann'))
        const sent = kind === 'good' ? token : forged(token)
        const check = async () => {
          const said = await verifiedClaims(sent, key, rules)
          return (typeof said === 'string' ? 'forged' : 'good') === kind
        }
        const run = () => Promise.all(Array.from({ length: count }, check))
        return { name: `${name}, ${kind}`, run, result: check, operations: count, isAsync: true as const }
      }),
    ),
  )
  return { name: `signatures, ${count} at a time`, operation: 'token', candidates }
}

async function* cases({ smoke }: Scale): AsyncIterable<Case> {
  const count = smoke ? 8 : 1_024
  const signed = await Promise.all(algorithms.map(async (name) => ({ name, ...(await signedWith(name)) })))
  for (const { key, sign } of signed.slice(0, 2)) {
    const users = Array.from({ length: count }, (_, n) => sign(claimsOf(`auth0|${n}`)))
    yield rememberedCase(await Promise.all(users), key)
  }
  yield await lookCase(signed[1] as Signed, count)
  yield await signatureCase(signed, smoke ? 2 : 64)
}

export const tokenCheck: Subject = {
  name: 'token-check',
  about: 'whose request is it: a token that is remembered, one that is refused at a look, a signature',
  cases,
}
