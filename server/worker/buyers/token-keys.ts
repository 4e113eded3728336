import type { TokenKeysMessage } from '../../../core/ipc.ts'
import { keysStaleMs, keysUsableMsMax } from '../../../core/limits.ts'
import { type Algorithm, isHmac, takesKey } from '../../../core/tokens/algorithms.ts'
import type { TokenJwk } from '../../../core/tokens/key-set.ts'
import { keysTriedMax, keyTrials } from '../limits.ts'
import { importedKey, type TokenKey, verifiedClaims } from './verify-token.ts'

/** A key, and what a check with it costs. */
export interface MeasuredKey extends TokenKey {
  readonly costMs: number
}

/** fresh; stale: their source is away for some time; expired: for so long that they don't count any more. */
export interface KeysFacts {
  readonly status: 'fresh' | 'stale' | 'expired'
  readonly keys: number
  readonly age_seconds: number
}

/** The keys that a worker checks tokens with, as the primary gave them last. */
export class TokenKeys {
  readonly #algorithms: readonly Algorithm[]
  /** By the text of the JWK and the algorithm: one that stays in the set stays the same object. */
  #keys: ReadonlyMap<string, MeasuredKey> = new Map()
  /** Keys of the set, whatever number of algorithms each is for. */
  #count = 0
  #seenMs = 0
  #againAtMs = 0
  #isAway = false

  constructor(algorithms: readonly Algorithm[]) {
    this.#algorithms = algorithms
  }

  /** Resolves when they count. One after the other. */
  async take({ keys, seenMs, againInMs, isAway }: TokenKeysMessage): Promise<void> {
    const before = this.#keys
    const taken = new Map<string, MeasuredKey>()
    for (const jwk of keys) {
      for (const algorithm of this.#algorithms.filter((each) => takesKey(each, jwk))) {
        const name = `${algorithm} ${JSON.stringify(jwk)}`
        const key = before.get(name) ?? (await measuredKey(jwk, algorithm))
        if (key !== undefined) taken.set(name, key)
      }
    }
    this.#keys = taken
    this.#count = keys.length
    this.#seenMs = seenMs
    this.#againAtMs = performance.now() + againInMs
    this.#isAway = isAway
  }

  /** Those that a token may have been signed with, by what it says of itself. A key without a name fits every name. */
  find(algorithm: Algorithm, kid: string | undefined): readonly MeasuredKey[] {
    const fitting = [...this.#keys.values()].filter((key) => key.algorithm === algorithm)
    if (kid === undefined) return fitting.slice(0, keysTriedMax)
    const named = fitting.filter((key) => key.kid === kid)
    return (named.length > 0 ? named : fitting.filter((key) => key.kid === undefined)).slice(0, keysTriedMax)
  }

  get all(): ReadonlySet<TokenKey> {
    return new Set(this.#keys.values())
  }

  /** The source was asked just now, so a key that isn't here isn't there. */
  get areLooked(): boolean {
    return performance.now() < this.#againAtMs
  }

  /** Their source couldn't be asked. */
  get isAway(): boolean {
    return this.#isAway
  }

  /** Until when they count (Date.now()). */
  get usableUntilMs(): number {
    return this.#seenMs + keysUsableMsMax
  }

  get facts(): KeysFacts {
    const ageMs = Math.max(0, Date.now() - this.#seenMs)
    const status = ageMs > keysUsableMsMax ? 'expired' : ageMs > keysStaleMs ? 'stale' : 'fresh'
    return { status, keys: this.#count, age_seconds: Math.round(ageMs / 1_000) }
  }
}

const noRules = { issuer: '', audience: '', leewaySeconds: 0 }

/** Checks a made-up token a few times. The least of them: what else the machine did is not the key's cost. */
async function measuredKey(jwk: TokenJwk, algorithm: Algorithm): Promise<MeasuredKey | undefined> {
  const key = await importedKey(jwk, algorithm)
  if (key === undefined) return undefined
  const head = Buffer.from(JSON.stringify({ alg: algorithm })).toString('base64url')
  // A number that is below every modulus and order, so that it is really checked.
  const signature = Buffer.alloc(signatureBytes(jwk, algorithm), 1).toString('base64url')
  const token = `${head}.e30.${signature}`
  let costMs = Number.POSITIVE_INFINITY
  for (let trial = 0; trial < keyTrials; trial++) {
    const startedMs = performance.now()
    await verifiedClaims(token, key, noRules)
    costMs = Math.min(costMs, performance.now() - startedMs)
  }
  return { ...key, costMs }
}

function signatureBytes({ n = '' }: TokenJwk, algorithm: Algorithm): number {
  if (isHmac(algorithm)) return Number(algorithm.slice(2)) / 8
  const ofCurve: Readonly<Partial<Record<Algorithm, number>>> = { ES256: 64, ES384: 96, ES512: 132, EdDSA: 64 }
  return ofCurve[algorithm] ?? Buffer.from(n, 'base64url').length
}
