import { type Algorithm, isAlgorithm } from '../../../core/tokens/algorithms.ts'
import { tokenLengthMax } from '../limits.ts'
import type { Claims, TokenRules } from './identity.ts'

/** Why a token is of no use, as far as it can be said without its signature. */
export type LookRefusal = 'malformed' | 'algorithm' | 'expired' | 'not_yet' | 'no_expiry' | 'issuer' | 'audience'

/** What a token says of itself. Nothing of it is proven. */
export interface Looked {
  readonly algorithm: Algorithm
  readonly kid: string | undefined
}

/** Of the settings those that can be checked before it is known whose the token is. */
export type ClaimRules = Pick<TokenRules, 'issuer' | 'audience' | 'leewaySeconds'>

const form = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * A look at a token that costs some microseconds and no signature: whoever floods with forged tokens gets no further than it
 * unless they name a key, an issuer and an audience of ours. It can only refuse: jose has the last word.
 */
export function lookAt(
  token: string,
  rules: ClaimRules & { readonly algorithms: ReadonlySet<Algorithm> },
  nowSeconds: number,
): Looked | LookRefusal {
  if (token.length > tokenLengthMax || !form.test(token)) return 'malformed'
  const headEnd = token.indexOf('.')
  const head = decoded(token.slice(0, headEnd))
  if (head === undefined || (head['kid'] !== undefined && typeof head['kid'] !== 'string')) return 'malformed'
  const { alg, kid } = head
  // An extension that its reader has to know (RFC 7515, 4.1.11): there is none that we do.
  if (head['crit'] !== undefined) return 'malformed'
  if (!isAlgorithm(alg) || !rules.algorithms.has(alg)) return 'algorithm'
  const claims = decoded(token.slice(headEnd + 1, token.indexOf('.', headEnd + 1)))
  if (claims === undefined) return 'malformed'
  return claimsRefusal(claims, rules, nowSeconds) ?? { algorithm: alg, kid }
}

/** By the rules of RFC 7519, 4.1. */
export function claimsRefusal(
  { exp, nbf, iat, iss, aud }: Claims,
  { issuer, audience, leewaySeconds }: ClaimRules,
  nowSeconds: number,
): LookRefusal | undefined {
  if (exp === undefined) return 'no_expiry'
  if (typeof exp !== 'number' || ![nbf, iat].every((time) => time === undefined || typeof time === 'number'))
    return 'malformed'
  if (exp <= nowSeconds - leewaySeconds) return 'expired'
  if (typeof nbf === 'number' && nbf > nowSeconds + leewaySeconds) return 'not_yet'
  if (issuer !== '' && iss !== issuer) return 'issuer'
  const isMeant = audience === '' || aud === audience || (Array.isArray(aud) && aud.includes(audience))
  return isMeant ? undefined : 'audience'
}

function decoded(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined
  } catch {
    return undefined // no JSON
  }
}
