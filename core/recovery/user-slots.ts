import type { UserEntry } from '../redis/user-entry.ts'

/**
 * What takes up a user's limit in a sale, decided again as decide.lua did it: what was cut off then to make room stays
 * cut off, whatever Redis' clock says now. Times in ms since the epoch.
 */
export class UserSlots {
  #purchases = 0
  /** Of holds that were not purchased, those that end first first. */
  #ends: number[] = []

  get entry(): UserEntry {
    return { purchases: this.#purchases, holdsExpireAtMs: this.#ends }
  }

  held(hold: { atMs: number; endMs: number }, limit: number): void {
    if (this.#purchases + this.#ends.length >= limit) this.#ends = this.#ends.filter((end) => end > hold.atMs)
    this.#ends = [...this.#ends, hold.endMs].toSorted((a, b) => a - b)
  }

  purchased(endMs: number): void {
    this.#purchases += 1
    const at = this.#ends.indexOf(endMs)
    if (at >= 0) this.#ends.splice(at, 1)
  }
}
