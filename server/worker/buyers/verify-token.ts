// jose, for whoever needs it in the worker: the keys that it makes of JWKs, and its word on a token.

import { type CryptoKey, errors, importJWK, jwtVerify } from 'jose'

import type { Algorithm } from '../../../core/tokens/algorithms.ts'
import type { TokenJwk } from '../../../core/tokens/key-set.ts'
import type { Claims } from './identity.ts'
import { type ClaimRules, claimsRefusal, type LookRefusal } from './token-look.ts'

/** One key for one algorithm: with another one it is another. */
export interface TokenKey {
  readonly algorithm: Algorithm
  readonly kid: string | undefined
  readonly material: CryptoKey | Uint8Array
}

export type VerifyRefusal = LookRefusal | 'signature'

/** `undefined`: it can't be used here, whatever the primary thought of it. */
export async function importedKey(jwk: TokenJwk, algorithm: Algorithm): Promise<TokenKey | undefined> {
  try {
    return { algorithm, kid: jwk.kid, material: await importJWK({ ...jwk }, algorithm) }
  } catch {
    return undefined // this Node.js doesn't know its curve, or it is no key after all
  }
}

/** The claims of a token that is genuine and in force, or why it isn't. */
export async function verifiedClaims(
  token: string,
  { algorithm, material }: TokenKey,
  rules: ClaimRules,
): Promise<Claims | VerifyRefusal> {
  const { issuer, audience, leewaySeconds } = rules
  try {
    const { payload } = await jwtVerify(token, material, {
      algorithms: [algorithm],
      clockTolerance: leewaySeconds,
      requiredClaims: ['exp'],
      ...(issuer !== '' && { issuer }),
      ...(audience !== '' && { audience }),
    })
    return payload
  } catch (error) {
    return refusalOf(error, rules)
  }
}

/** Whatever jose throws says that the token is no good: what a client can send must not end the worker. */
function refusalOf(error: unknown, rules: ClaimRules): VerifyRefusal {
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm'
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed)
    return claimsRefusal(error.payload, rules, Math.floor(Date.now() / 1_000)) ?? 'malformed'
  return 'malformed'
}
