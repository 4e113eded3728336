import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

import { type Scope, temporaryFolder } from './scope.ts'

const issuer = 'https://id.shop.example/'
const audience = 'https://shop.example'

/** Settings with which a server takes the tokens of an issuer. */
export function signedEnv(keys: string): Record<string, string> {
  return { APP_BUYERS: 'signed', APP_JWT_KEYS: keys, APP_JWT_ISSUER: issuer, APP_JWT_AUDIENCE: audience }
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000)
}

/** Claims with which a token is in force. */
export function claimsOf(user: string, others: JWTPayload = {}): JWTPayload {
  const now = nowSeconds()
  return { iss: issuer, aud: audience, sub: user, iat: now, exp: now + 600, ...others }
}

/** A pair of keys of an identity provider. */
export class SigningKey {
  readonly alg: string
  readonly kid: string | undefined
  readonly publicJwk: JWK
  readonly #signer: Parameters<SignJWT['sign']>[0]

  private constructor(alg: string, kid: string | undefined, publicJwk: JWK, signer: Parameters<SignJWT['sign']>[0]) {
    this.alg = alg
    this.kid = kid
    this.publicJwk = publicJwk
    this.#signer = signer
  }

  static async make(alg: string, kid?: string): Promise<SigningKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const named = kid === undefined ? {} : { kid }
    return new SigningKey(alg, kid, { ...(await exportJWK(publicKey)), ...named, use: 'sig' }, privateKey)
  }

  /** One that both sides share, named `shared`. @param k of 32 bytes, base64url */
  static async secret(k: string): Promise<SigningKey> {
    return new SigningKey('HS256', 'shared', { kty: 'oct', k }, Buffer.from(k, 'base64url'))
  }

  /** @param head members of the header that are to be others */
  sign(claims: JWTPayload, head: { alg?: string; kid?: string } = {}): Promise<string> {
    const named = this.kid === undefined ? {} : { kid: this.kid }
    return new SignJWT(claims).setProtectedHeader({ alg: this.alg, typ: 'JWT', ...named, ...head }).sign(this.#signer)
  }

  token(user: string, others: JWTPayload = {}): Promise<string> {
    return this.sign(claimsOf(user, others))
  }
}

export function bearer(token: string): { headers: { Authorization: string } } {
  return { headers: { Authorization: `Bearer ${token}` } }
}

export function keysText(keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) })
}

/** A file with their public halves, which can be written anew. */
export function keysFile(scope: Scope, keys: readonly SigningKey[]) {
  const path = join(temporaryFolder(scope), 'keys.json')
  const write = (text: string): void => writeFileSync(path, text)
  write(keysText(keys))
  return { path, write }
}

/** Where an identity provider publishes its keys. It counts how often it is asked, and can be away. */
export class KeyServer {
  readonly url: string
  asked = 0
  text: string
  isAway = false

  private constructor(url: string, text: string) {
    this.url = url
    this.text = text
  }

  static async open(scope: Scope, text: string): Promise<KeyServer> {
    const server = createServer((_request, reply) => {
      keys.asked += 1
      if (keys.isAway) reply.destroy()
      else reply.setHeader('Content-Type', 'application/json').end(keys.text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    scope.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const keys = new KeyServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`, text)
    return keys
  }
}
