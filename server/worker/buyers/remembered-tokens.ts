import { tokenCharsRememberedMax, tokensRememberedMax } from '../limits.ts'
import type { Identity } from './identity.ts'
import type { TokenKey } from './verify-token.ts'

interface Remembered {
  /** The whole header: what differs anywhere is another one. */
  readonly authorization: string
  readonly identity: Identity
  /** Date.now() */
  readonly expiresMs: number
  readonly key: TokenKey
}

/** Of a signature, so that only whoever has the token can name it; more of it would only take longer to hash. */
const tailLength = 32

/**
 * Tokens that were verified, until they expire. They are found by the end of their signature and compared as a whole, which
 * takes half of the time that a hash of them would. Two generations, of which the older one is dropped as a whole, bound
 * them: a token that is used is young again.
 */
export class RememberedTokens {
  #young = new Map<string, Remembered>()
  #old = new Map<string, Remembered>()
  /** Of the young ones. */
  #chars = 0

  get count(): number {
    return this.#young.size + this.#old.size
  }

  find(authorization: string, nowMs: number): Identity | undefined {
    const tail = authorization.slice(-tailLength)
    const young = this.#young.get(tail)
    const found = young ?? this.#old.get(tail)
    if (found === undefined || found.authorization !== authorization || found.expiresMs <= nowMs) return undefined
    if (young === undefined) {
      this.#old.delete(tail)
      this.#keep(tail, found)
    }
    return found.identity
  }

  add(remembered: Remembered): void {
    this.#keep(remembered.authorization.slice(-tailLength), remembered)
  }

  /** Those of withdrawn keys. */
  keepOnly(isKept: (key: TokenKey) => boolean): void {
    for (const generation of [this.#young, this.#old]) {
      for (const [tail, { key }] of generation) if (!isKept(key)) generation.delete(tail)
    }
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#chars = 0
  }

  #keep(tail: string, remembered: Remembered): void {
    const { length } = remembered.authorization
    if (this.#young.size >= tokensRememberedMax / 2 || this.#chars + length > tokenCharsRememberedMax / 2) {
      this.#old = this.#young
      this.#young = new Map()
      this.#chars = 0
    }
    this.#young.set(tail, remembered)
    this.#chars += length
  }
}
