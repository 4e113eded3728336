import { randomBytes } from 'node:crypto'

import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

const algorithm = 'ES256'
export const issuer = 'https://id.example/'
export const audience = 'https://shop.example'

/** What is sent in a flood. `none` is no flood; `no token` is what all others are compared with: it takes as much to send. */
export const floodKinds = [
  'none',
  'no token',
  'no JWT',
  'expired',
  'another issuer',
  'unknown key',
  'bad signatures',
  'bad signatures, 200 addresses',
] as const
export type FloodKind = (typeof floodKinds)[number]

/** What a process needs to forge: it has no key. */
export interface Forgery {
  readonly kind: FloodKind
  /** The head and the claims of a token, or what stands in their place. */
  readonly start: string
}

/** An issuer of one key. */
export class Issuer {
  readonly jwk: JWK
  readonly #sign: (claims: object) => Promise<string>

  private constructor(jwk: JWK, sign: (claims: object) => Promise<string>) {
    this.jwk = jwk
    this.#sign = sign
  }

  static async make(): Promise<Issuer> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const sign = (claims: object) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: algorithm, kid: 'key' }).sign(privateKey)
    return new Issuer({ ...(await exportJWK(publicKey)), kid: 'key' }, sign)
  }

  token(user: string): Promise<string> {
    return this.#sign(claimsOf(user))
  }
}

function claimsOf(user: string): object {
  const now = Math.floor(Date.now() / 1_000)
  return { iss: issuer, aud: audience, sub: user, iat: now, exp: now + 86_400 }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

export function forgeryOf(kind: FloodKind): Forgery {
  const kid = kind === 'unknown key' ? 'other' : 'key'
  const changes = { expired: { exp: 1 }, 'another issuer': { iss: 'other' } }[kind as string] ?? {}
  const start = `${part({ alg: algorithm, kid })}.${part({ ...claimsOf('victim'), ...changes })}`
  return { kind, start: kind === 'no JWT' ? 'x'.repeat(start.length) : start }
}

/** The header line of a forged token: each time another one. */
export function forgedLine({ kind, start }: Forgery): string {
  if (kind === 'no token') return ''
  return `Authorization: Bearer ${start}${kind === 'no JWT' ? '' : '.'}${randomBytes(64).toString('base64url')}\r\n`
}
