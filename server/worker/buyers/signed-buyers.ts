import type { Registry } from 'prom-client'

import { allowedAlgorithms } from '../../../core/config/buyers.ts'
import type { Config } from '../../../core/config/load.ts'
import type { TokenKeysMessage } from '../../../core/ipc.ts'
import { startTimeLimit } from '../../../core/time-limit.ts'
import type { Algorithm } from '../../../core/tokens/algorithms.ts'
import type { Exchange } from '../http/exchange.ts'
import { RateLimit } from '../http/rate-limit.ts'
import type { Reply } from '../http/replies.ts'
import { retryLater } from '../http/turned-away.ts'
import { keyWaitersMax, keyWaitMsMax, verificationsInFlightMax } from '../limits.ts'
import { type Identity, identityOf, type TokenRules } from './identity.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import { type KeysFacts, type MeasuredKey, TokenKeys } from './token-keys.ts'
import { lookAt } from './token-look.ts'
import { TokenMetrics } from './token-metrics.ts'
import { mismatchReply, type TokenRefusal, tokenRefusals } from './token-refusals.ts'
import { VerificationBudget } from './verification-budget.ts'
import { verifiedClaims } from './verify-token.ts'

export interface SignedBuyersOptions {
  readonly config: Pick<Config, 'app' | 'buyers'>
  readonly registry: Registry
  /** Asks the primary to look for keys. */
  readonly askForKeys: () => void
}

/** A request whose token is not remembered. */
export interface NewToken {
  readonly exchange: Pick<Exchange, 'isGone' | 'reply' | 'shed'>
  readonly authorization: string
  /** The header came more than once. */
  readonly isRepeated: boolean
  /** The client's, as a key. */
  readonly address: string
  /** The token is genuine: goes on with the request. Not called when it was answered. */
  readonly onIdentity: (identity: Identity) => void
}

/**
 * What the look lets pass and no issuer signs. Also what is no good in another way than by its signature: it has taken the same
 * time, or a forger would send that.
 */
const takesTimeInVain: ReadonlySet<TokenRefusal> = new Set(['signature', 'malformed'])

/**
 * APP_BUYERS=signed: who a request comes from. A token that was verified is remembered, and costs its next requests no promise.
 * A new one is looked at first and its signature checked last, as far as there is time for it.
 */
export class SignedBuyers {
  readonly #rules: TokenRules & { readonly algorithms: ReadonlySet<Algorithm> }
  readonly #keys: TokenKeys
  readonly #remembered = new RememberedTokens()
  readonly #budget: VerificationBudget
  readonly #metrics: TokenMetrics
  readonly #rateLimit: RateLimit | undefined
  readonly #askForKeys: () => void
  #inFlight = 0
  #waiting: NewToken[] = []
  #endLimit: (() => void) | undefined
  #expiryTimer: NodeJS.Timeout | undefined
  /** What the primary said is taken in one after the other. */
  #taking: Promise<void> = Promise.resolve()
  readonly #first: Promise<void>
  #resolveFirst: () => void = () => undefined

  constructor({ config: { app, buyers }, registry, askForKeys }: SignedBuyersOptions) {
    const algorithms = allowedAlgorithms(buyers)
    this.#rules = { ...buyers, algorithms: new Set(algorithms), mismatch: mismatchReply(buyers.backendScope) }
    this.#keys = new TokenKeys(algorithms)
    this.#budget = new VerificationBudget({ areAddressesTold: app.connectionsPerAddressMax > 0 })
    this.#rateLimit = buyers.rateLimitPerBuyer === 0 ? undefined : new RateLimit(buyers.rateLimitPerBuyer, 'buyer')
    this.#askForKeys = askForKeys
    this.#first = new Promise((resolve) => (this.#resolveFirst = resolve))
    this.#metrics = new TokenMetrics(registry, {
      remembered: () => this.#remembered.count,
      keys: () => this.#keys.facts,
    })
  }

  /** Resolves when it has keys. */
  get haveKeys(): Promise<void> {
    return this.#first
  }

  get keysFacts(): KeysFacts {
    return this.#keys.facts
  }

  /** Whose the header is, if its token was verified before. */
  known(authorization: string): Identity | undefined {
    const identity = this.#remembered.find(authorization, Date.now())
    if (identity !== undefined) this.#metrics.count('remembered')
    return identity
  }

  /** What is answered instead of serving this buyer. */
  refusal({ buyer }: Identity, nowMs: number): Reply | undefined {
    if (this.#rateLimit === undefined || buyer === undefined) return undefined
    return this.#rateLimit.takes(buyer, nowMs) ? undefined : this.#rateLimit.reply
  }

  /** Finds out whose a request is: answers it, or goes on with it, now or later. */
  check(request: NewToken): void {
    const { authorization, isRepeated } = request
    if (authorization === '') this.#refuse(request, 'missing')
    else if (isRepeated) this.#refuse(request, 'repeated')
    else this.#checkToken(request, /^bearer +(\S+) *$/i.exec(authorization)?.[1])
  }

  /** What the primary says. */
  takeKeys(message: TokenKeysMessage): void {
    // Nothing is waited for any more but a look at each new key, and then all are let go.
    this.#endLimit?.()
    this.#taking = this.#take(message, this.#taking)
  }

  close(): void {
    clearTimeout(this.#expiryTimer)
    this.#giveUpWaiting()
  }

  async #take(message: TokenKeysMessage, before: Promise<void>): Promise<void> {
    await before
    await this.#keys.take(message)
    const { all } = this.#keys
    this.#remembered.keepOnly((key) => all.has(key))
    this.#armExpiry()
    this.#resolveFirst()
    this.#letWaitersGo()
  }

  #checkToken(request: NewToken, token: string | undefined): void {
    if (token === undefined) {
      this.#refuse(request, 'scheme')
      return
    }
    const remembered = this.#remembered.findToken(token, Date.now())
    if (remembered !== undefined) {
      this.#goOn(request, remembered.identity, 'remembered')
      return
    }
    if (Date.now() > this.#keys.usableUntilMs) {
      this.#keysAway(request)
      return
    }
    const looked = lookAt(token, this.#rules, Math.floor(Date.now() / 1_000))
    if (typeof looked === 'string') {
      this.#refuse(request, looked)
      return
    }
    const keys = this.#keys.find(looked.algorithm, looked.kid)
    if (keys.length === 0) this.#withoutKey(request)
    else this.#withKeys(request, token, keys)
  }

  /** The issuer may have a new key: it is asked once for all that wait. */
  #withoutKey(request: NewToken): void {
    if (this.#keys.areLooked) {
      if (this.#keys.isAway) this.#keysAway(request)
      else this.#refuse(request, 'key_unknown')
      return
    }
    if (this.#waiting.length >= keyWaitersMax) {
      this.#shed(request)
      return
    }
    this.#waiting.push(request)
    if (this.#waiting.length > 1) return
    this.#endLimit = startTimeLimit(keyWaitMsMax, () => this.#giveUpWaiting())
    this.#askForKeys()
  }

  #letWaitersGo(): void {
    this.#endLimit?.()
    const waiting = this.#waiting
    this.#waiting = []
    for (const request of waiting) if (!request.exchange.isGone) this.check(request)
  }

  #giveUpWaiting(): void {
    this.#endLimit?.()
    for (const request of this.#waiting.splice(0)) this.#keysAway(request)
  }

  #withKeys(request: NewToken, token: string, keys: readonly MeasuredKey[]): void {
    const costMs = keys.reduce((sum, key) => sum + key.costMs, 0)
    const hasRoom = this.#inFlight < verificationsInFlightMax
    if (hasRoom && this.#budget.takes(request.address, costMs, performance.now()))
      void this.#verify(request, token, keys)
    else this.#shed(request)
  }

  async #verify(request: NewToken, token: string, keys: readonly MeasuredKey[]): Promise<void> {
    this.#inFlight += 1
    let refusal: TokenRefusal = 'signature'
    for (const key of keys) {
      const claims = await verifiedClaims(token, key, this.#rules)
      if (claims === 'signature') continue
      if (typeof claims === 'string') {
        refusal = claims
        break
      }
      this.#inFlight -= 1
      const { authorization } = request
      const identity = identityOf(claims, this.#rules)
      const expiresMs = (Number(claims['exp']) + this.#rules.leewaySeconds) * 1_000
      // Not of a key that was withdrawn meanwhile.
      if (this.#keys.all.has(key)) this.#remembered.add({ authorization, token, identity, expiresMs, key })
      this.#goOn(request, identity, 'verified')
      return
    }
    this.#inFlight -= 1
    if (takesTimeInVain.has(refusal)) this.#budget.sentBadSignature(request.address, performance.now())
    this.#refuse(request, refusal)
  }

  #goOn(request: NewToken, identity: Identity | undefined, result: 'verified' | 'remembered'): void {
    if (identity === undefined) {
      this.#refuse(request, 'no_buyer')
      return
    }
    this.#metrics.count(result)
    request.onIdentity(identity)
  }

  #refuse({ exchange }: NewToken, refusal: TokenRefusal): void {
    this.#metrics.count(refusal)
    exchange.reply(tokenRefusals[refusal])
  }

  #shed({ exchange }: NewToken): void {
    this.#metrics.count('shed')
    exchange.shed('overloaded')
  }

  #keysAway({ exchange }: NewToken): void {
    this.#metrics.count('keys_away')
    exchange.reply(retryLater('keys_unavailable'))
  }

  /** What was verified with keys that don't count any more doesn't count either. */
  #armExpiry(): void {
    clearTimeout(this.#expiryTimer)
    const ms = Math.max(0, this.#keys.usableUntilMs - Date.now())
    this.#expiryTimer = setTimeout(() => this.#remembered.clear(), ms).unref()
  }
}
