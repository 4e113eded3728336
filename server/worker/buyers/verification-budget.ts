import {
  badAddressesMax,
  badSignaturesMax,
  badSignatureWindowMs,
  suspectVerificationBurstMs,
  suspectVerificationMsPerSecondMax,
  verificationBurstMs,
  verificationMsPerSecondMax,
} from '../limits.ts'

/** Time that may be used, so much a second, and so much at once. */
class Allowance {
  readonly #perMs: number
  readonly #burstMs: number
  #leftMs: number
  #filledMs = 0

  constructor(msPerSecond: number, burstMs: number) {
    this.#perMs = msPerSecond / 1_000
    this.#burstMs = burstMs
    this.#leftMs = burstMs
  }

  /** What is left is enough for one whatever it costs: a key that is dearer than all of it would never be used. */
  has(costMs: number, nowMs: number): boolean {
    this.#leftMs = Math.min(this.#burstMs, this.#leftMs + Math.max(0, nowMs - this.#filledMs) * this.#perMs)
    this.#filledMs = nowMs
    return this.#leftMs >= Math.min(costMs, this.#burstMs)
  }

  take(costMs: number): void {
    this.#leftMs -= costMs
  }
}

/**
 * What checking signatures may take. An address that has sent many bad ones has a small part of it, and all such together no
 * more than that: good buyers find the rest.
 */
export class VerificationBudget {
  readonly #all = new Allowance(verificationMsPerSecondMax, verificationBurstMs)
  readonly #suspects = new Allowance(suspectVerificationMsPerSecondMax, suspectVerificationBurstMs)
  readonly #areAddressesTold: boolean
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #bornMs = 0

  /** @param options.areAddressesTold false: behind a proxy all clients have one address, which says nothing of them */
  constructor({ areAddressesTold }: { areAddressesTold: boolean }) {
    this.#areAddressesTold = areAddressesTold
  }

  /** Takes the time, or says `false`: there is none. @param nowMs of a clock that never goes back */
  takes(address: string, costMs: number, nowMs: number): boolean {
    this.#age(nowMs)
    const isSuspect = this.#badSignatures(address) >= badSignaturesMax
    if (!this.#all.has(costMs, nowMs) || (isSuspect && !this.#suspects.has(costMs, nowMs))) return false
    this.#all.take(costMs)
    if (isSuspect) this.#suspects.take(costMs)
    return true
  }

  sentBadSignature(address: string, nowMs: number): void {
    if (!this.#areAddressesTold) return
    this.#age(nowMs)
    this.#young.set(address, this.#badSignatures(address) + 1)
  }

  #badSignatures(address: string): number {
    return this.#young.get(address) ?? this.#old.get(address) ?? 0
  }

  #age(nowMs: number): void {
    const ageMs = nowMs - this.#bornMs
    if (ageMs < badSignatureWindowMs && this.#young.size < badAddressesMax) return
    this.#old = ageMs < 2 * badSignatureWindowMs ? this.#young : new Map()
    this.#young = new Map()
    this.#bornMs = nowMs
  }
}
