import { tokenCharsRememberedMax, tokensRememberedMax } from '../limits.ts'
import type { Identity } from './identity.ts'
import type { TokenKey } from './verify-token.ts'

interface Remembered {
  /** The whole header, as it came first: what differs anywhere is another one. */
  readonly authorization: string
  readonly token: string
  /** `undefined`: it is genuine, and nobody's who could buy. */
  readonly identity: Identity | undefined
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

  /** By the header, which is what every request of a buyer pays for. */
  find(authorization: string, nowMs: number): Identity | undefined {
    const found = this.#at(authorization.slice(-tailLength), nowMs)
    return found?.authorization === authorization ? found.identity : undefined
  }

  /** However its header is written: whoever writes it anew each time has its signature checked once all the same. */
  findToken(token: string, nowMs: number): Pick<Remembered, 'identity'> | undefined {
    const found = this.#at(token.slice(-tailLength), nowMs)
    return found?.token === token ? found : undefined
  }

  add(remembered: Remembered): void {
    this.#keep(remembered.token.slice(-tailLength), remembered)
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

  #at(tail: string, nowMs: number): Remembered | undefined {
    const young = this.#young.get(tail)
    const found = young ?? this.#old.get(tail)
    if (found === undefined || found.expiresMs <= nowMs) return undefined
    if (young === undefined) {
      this.#old.delete(tail)
      this.#keep(tail, found)
    }
    return found
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
