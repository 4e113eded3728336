import { isUserId } from '../../../core/ids.ts'
import type { Reply } from '../http/replies.ts'

/** Whom a request acts for, by its token. With APP_BUYERS=open a request has none. */
export class Identity {
  /** The only buyer that it may act for; `undefined`: a backend's, which acts for any. */
  readonly buyer: string | undefined
  /** What is answered when it asks for another one. */
  readonly mismatch: Reply

  constructor(buyer: string | undefined, mismatch: Reply) {
    this.buyer = buyer
    this.mismatch = mismatch
  }

  actsFor(user: string): boolean {
    return this.buyer === undefined || this.buyer === user
  }
}

/** What the settings want of a token. */
export interface TokenRules {
  /** '': any. */
  readonly issuer: string
  readonly audience: string
  readonly leewaySeconds: number
  /** The claim that names the buyer. */
  readonly claim: string
  /** '': no token is a backend's. */
  readonly backendScope: string
  readonly mismatch: Reply
}

export type Claims = Readonly<Record<string, unknown>>

/** `undefined`: it is genuine, and nobody's who could buy. */
export function identityOf(claims: Claims, { claim, backendScope, mismatch }: TokenRules): Identity | undefined {
  if (backendScope !== '' && scopesOf(claims).includes(backendScope)) return new Identity(undefined, mismatch)
  const buyer = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  return typeof buyer === 'string' && isUserId(buyer) ? new Identity(buyer, mismatch) : undefined
}

/** As RFC 8693 has them (scope, with spaces between), and as others write them (scp, or a list). */
function scopesOf({ scope, scp }: Claims): string[] {
  return [scope, scp].flatMap((value) => {
    if (typeof value === 'string') return value.split(' ')
    return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
  })
}
