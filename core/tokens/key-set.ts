import { createPublicKey } from 'node:crypto'

import { tokenKeysMax, tokenRsaBitsMin } from '../limits.ts'
import { type Algorithm, isHmac, type KeyKind, takesKey } from './algorithms.ts'

/** A key that tokens are checked with: a JWK with nothing but what that needs. */
export interface TokenJwk extends KeyKind {
  readonly kid?: string
  readonly n?: string
  readonly e?: string
  readonly x?: string
  readonly y?: string
}

/** What came of a text with keys: those that can be used, or what is wrong with it. Repeats nothing of the text. */
export type ReadKeys = { readonly keys: readonly TokenJwk[] } | { readonly problem: string }

interface Reading {
  readonly algorithms: readonly Algorithm[]
  /** Of a file, which is somebody's own: there a key that can't be used is a mistake. In a published set others' keys are left out. */
  readonly isOwn: boolean
}

/** Members that only a key has that signs: RFC 7518, 6.2.2 and 6.3.2. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth']
const members = ['kty', 'kid', 'alg', 'crv', 'n', 'e', 'x', 'y', 'k'] as const

/** Reads a JWKS (RFC 7517), a single JWK, or public keys in PEM. */
export function readKeys(text: string, reading: Reading): ReadKeys {
  const given = text.includes('-----BEGIN ') ? pemKeys(text) : jwkSet(text)
  if ('problem' in given) return given
  const { keys } = given
  if (keys.length > tokenKeysMax) return { problem: `has ${keys.length} keys: ${tokenKeysMax} at most are taken` }
  const usable: TokenJwk[] = []
  for (const [at, jwk] of keys.entries()) {
    const problem = keyProblem(jwk, reading)
    if (problem === undefined) usable.push(withoutOthers(jwk))
    else if (reading.isOwn) return { problem: `key ${at + 1} ${problem}` }
  }
  if (usable.length > 0) return { keys: usable }
  return { problem: `has no key of the algorithms that are allowed (APP_JWT_ALGORITHMS)` }
}

type Members = Readonly<Record<string, unknown>>
type Given = { readonly keys: readonly Members[] } | { readonly problem: string }

function jwkSet(text: string): Given {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { problem: 'is neither a JWKS (JSON) nor PEM' }
  }
  if (!isObject(parsed)) return { problem: 'is no JWKS: {"keys": [...]}' }
  if (typeof parsed['kty'] === 'string') return { keys: [parsed] }
  const keys = parsed['keys']
  if (!Array.isArray(keys) || !keys.every(isObject)) return { problem: 'is no JWKS: {"keys": [...]}' }
  return { keys }
}

function pemKeys(text: string): Given {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return { problem: hasPrivate }
  const blocks = text.match(/-----BEGIN (?:PUBLIC KEY|CERTIFICATE)-----[^-]+-----END (?:PUBLIC KEY|CERTIFICATE)-----/g)
  if (blocks === null) return { problem: 'has no public key (PEM: BEGIN PUBLIC KEY)' }
  try {
    return { keys: blocks.map((block) => createPublicKey(block).export({ format: 'jwk' }) as Members) }
  } catch {
    return { problem: 'has PEM that cannot be decoded' }
  }
}

const hasPrivate = 'has a private key: give it public ones alone, whoever reads the private one can be any buyer'

function keyProblem(jwk: Members, { algorithms, isOwn }: Reading): string | undefined {
  if (privateMembers.some((name) => jwk[name] !== undefined)) return hasPrivate
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return 'is not for signatures (use)'
  const { key_ops: operations, kid } = jwk
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'is not for checking signatures (key_ops)'
  if (kid !== undefined && typeof kid !== 'string') return 'has a kid that is no text'
  if (jwk['kty'] === 'oct') return secretProblem(jwk, { algorithms, isOwn })
  return decodedProblem(jwk) ?? (algorithms.some((name) => takesKey(name, kindOf(jwk))) ? undefined : unfit)
}

const unfit = 'is of no algorithm that APP_JWT_ALGORITHMS allows'

/** Whoever can check with it can sign with it. */
function secretProblem(jwk: Members, { algorithms, isOwn }: Reading): string | undefined {
  if (!isOwn) return 'is a secret, and published'
  if (!algorithms.some(isHmac)) return 'is a secret (kty oct): only for APP_JWT_ALGORITHMS that name HS256, 384 or 512'
  const isLong = algorithms.some((name) => takesKey(name, kindOf(jwk)))
  return isLong ? undefined : 'is a secret that is shorter than the hash of its algorithm'
}

function decodedProblem(jwk: Members): string | undefined {
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: jwk, format: 'jwk' })
    const bits = asymmetricKeyDetails?.modulusLength
    return bits !== undefined && bits < tokenRsaBitsMin ? `has ${bits} bits: RSA needs ${tokenRsaBitsMin}` : undefined
  } catch {
    return 'cannot be decoded'
  }
}

function kindOf(jwk: Members): KeyKind {
  return withoutOthers(jwk)
}

function withoutOthers(jwk: Members): TokenJwk {
  return Object.fromEntries(
    members.flatMap((name) => (typeof jwk[name] === 'string' ? [[name, jwk[name]]] : [])),
  ) as unknown as TokenJwk
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
