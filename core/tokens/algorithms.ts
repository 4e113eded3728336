/** What a token may be signed with (RFC 7518, RFC 8037): by name, the kind of key that it takes. */
const algorithms = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  HS256: { kty: 'oct', bits: 256 },
  HS384: { kty: 'oct', bits: 384 },
  HS512: { kty: 'oct', bits: 512 },
} as const satisfies Readonly<Record<string, { kty: string; crv?: string; bits?: number }>>

export type Algorithm = keyof typeof algorithms

export const algorithmNames = Object.keys(algorithms) as Algorithm[]

/** Whose key is a secret that the issuer shares: taken only where the settings name it. */
export function isHmac(algorithm: Algorithm): boolean {
  return algorithms[algorithm].kty === 'oct'
}

/** What APP_JWT_ALGORITHMS is unless it is set. */
export const algorithmsDefault = algorithmNames.filter((name) => !isHmac(name)).join(',')

/** The entries of APP_JWT_ALGORITHMS as they stand. */
export function listedAlgorithms(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

export function isAlgorithm(name: unknown): name is Algorithm {
  return typeof name === 'string' && Object.hasOwn(algorithms, name)
}

/** Of a key what decides which algorithms take it (RFC 7517). */
export interface KeyKind {
  readonly kty: string
  readonly crv?: string
  readonly alg?: string
  /** Of a secret. */
  readonly k?: string
}

/** Whether a signature of that algorithm can be checked with the key. A secret must be as long as its hash: RFC 7518, 3.2. */
export function takesKey(algorithm: Algorithm, { kty, crv, alg, k = '' }: KeyKind): boolean {
  const wanted: { kty: string; crv?: string; bits?: number } = algorithms[algorithm]
  if (kty !== wanted.kty || (wanted.crv !== undefined && crv !== wanted.crv)) return false
  if (wanted.bits !== undefined && Buffer.from(k, 'base64url').length * 8 < wanted.bits) return false
  return alg === undefined || alg === algorithm
}
