import type { MovedRights, UserEntry } from '../redis/user-entry.ts'
import { baseRights, homeShard } from '../rights.ts'
import type { SlotRow } from './sales-on-record.ts'

export interface UserSlotsOptions {
  readonly user: string
  /** Of the sale. */
  readonly limit: number
  readonly shards: number
  /** The one that the entry is in. */
  readonly shard: number
}

/**
 * What takes up a user's limit in a shard of a sale, decided again as decide.lua did it: what was cut off then to make room
 * stays cut off, whatever Redis' clock says now. Times in ms since the epoch.
 */
export class UserSlots {
  readonly #base: number
  #purchases = 0
  /** Of holds that were not purchased, those that end first first. */
  #ends: number[] = []
  /** By the number of the other shard. */
  readonly #rights = new Map<number, MovedRights>()

  constructor({ user, limit, shards, shard }: UserSlotsOptions) {
    this.#base = shards === 1 ? limit : baseRights({ limit, shards, shard, home: homeShard(user, shards) })
  }

  get entry(): UserEntry {
    const rights = [...this.#rights.values()].toSorted((a, b) => a.peer - b.peer)
    return { purchases: this.#purchases, holdsExpireAtMs: this.#ends, rights }
  }

  /** In the order of deciding. */
  take({ what, atMs, endMs, peer, total }: SlotRow): void {
    switch (what) {
      case 'held':
        this.held({ atMs, endMs: endMs ?? 0 })
        break
      case 'purchased':
        this.purchased(endMs ?? 0)
        break
      case 'released':
        this.released(endMs ?? 0)
        break
      case 'lent':
        this.lent(peer ?? 0, { total: total ?? 0, atMs })
        break
      case 'got':
        this.got(peer ?? 0, total ?? 0)
    }
  }

  /** How many rights are missing for the purchases and the holds that are alive then; not above 0: none is. */
  missingAt(nowMs: number): number {
    return this.#purchases + this.#ends.filter((end) => end > nowMs).length - this.#rightsHere
  }

  /** How many rights are there beyond the purchases. Below 0: some are missing. */
  get spare(): number {
    return this.#rightsHere - this.#purchases
  }

  held({ atMs, endMs }: { atMs: number; endMs: number }): void {
    if (this.#purchases + this.#ends.length >= this.#rightsHere) this.#cutOff(atMs)
    this.#ends = [...this.#ends, endMs].toSorted((a, b) => a - b)
  }

  purchased(endMs: number): void {
    this.#purchases += 1
    this.released(endMs)
  }

  released(endMs: number): void {
    const at = this.#ends.indexOf(endMs)
    if (at >= 0) this.#ends.splice(at, 1)
  }

  /** What has expired makes room for a right that goes away. @param total lent to that shard until then */
  lent(peer: number, { total, atMs }: { total: number; atMs: number }): void {
    this.#cutOff(atMs)
    const { lent, got } = this.#with(peer)
    this.#rights.set(peer, { peer, lent: Math.max(lent, total), got })
  }

  /** @param total got from that shard until then */
  got(peer: number, total: number): void {
    const { lent, got } = this.#with(peer)
    this.#rights.set(peer, { peer, lent, got: Math.max(got, total) })
  }

  get #rightsHere(): number {
    let rights = this.#base
    for (const { lent, got } of this.#rights.values()) rights += got - lent
    return rights
  }

  #cutOff(atMs: number): void {
    this.#ends = this.#ends.filter((end) => end > atMs)
  }

  #with(peer: number): MovedRights {
    return this.#rights.get(peer) ?? { peer, lent: 0, got: 0 }
  }
}
