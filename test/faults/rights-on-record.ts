import type { SaleTerms } from '../../core/decisions.ts'
import { baseRights, homeShard } from '../../core/rights.ts'
import { comparePlaces, type EpochRow, type Evidence, type Place, type TransferRow } from './evidence.ts'

/** At least, and at most. */
export interface Bounds {
  least: number
  most: number
}

/** What a shard has lent to a peer and got from it, of one user. */
interface Moved {
  readonly lent: Bounds
  readonly got: Bounds
}

/**
 * The rights of users in one shard of a sale as its log goes on: what it began with, and the rows of what it lent and got. Where
 * an epoch begins, the others have told the shard what they know, of which it has no rows: what they had on record when the
 * epoch was begun it knows then for certain, and what they had when it decided again perhaps.
 */
export class RightsOnRecord {
  readonly #terms: SaleTerms
  readonly #shard: number
  readonly #own: readonly TransferRow[]
  readonly #others: readonly TransferRow[]
  readonly #epochs: readonly EpochRow[]
  /** User -> peer. */
  readonly #moved = new Map<string, Map<number, Moved>>()
  #nextOwn = 0
  #nextEpoch = 0

  constructor(evidence: Evidence, terms: SaleTerms, shard: number) {
    const ofSale = evidence.transfers.filter(({ sale }) => sale === terms.sale)
    this.#terms = terms
    this.#shard = shard
    this.#own = ofSale.filter((row) => row.shard === shard).toSorted(comparePlaces)
    this.#others = ofSale.filter((row) => row.peer === shard)
    this.#epochs = evidence.epochs.filter((row) => row.shard === shard)
  }

  /** On to that place, with it. Never back. */
  goOnTo(place: Place, decidedAtMs: number): void {
    for (let row = this.#own[this.#nextOwn]; row && comparePlaces(row, place) <= 0; row = this.#own[++this.#nextOwn]) {
      this.#beginEpochs(row.epoch, row.decidedAtMs)
      const { [row.kind]: bounds } = this.#of(row.user, row.peer)
      raise(bounds, row.total, row.total)
    }
    this.#beginEpochs(place.epoch, decidedAtMs)
  }

  /** How many rights of the user are there. */
  bounds(user: string): Bounds {
    const { userLimit: limit, shards } = this.#terms
    const base = baseRights({ limit, shards, shard: this.#shard, home: homeShard(user, shards) })
    const bounds = { least: base, most: base }
    for (const { lent, got } of this.#moved.get(user)?.values() ?? []) {
      bounds.least += got.least - lent.most
      bounds.most += got.most - lent.least
    }
    return bounds
  }

  #beginEpochs(until: number, decidedAtMs: number): void {
    for (; (this.#epochs[this.#nextEpoch]?.epoch ?? Infinity) <= until; this.#nextEpoch++) {
      const begunAtMs = this.#epochs[this.#nextEpoch]?.begunAtMs ?? 0
      for (const row of this.#others) {
        if (row.decidedAtMs > decidedAtMs) continue
        const { [row.kind === 'lent' ? 'got' : 'lent']: bounds } = this.#of(row.user, row.shard)
        raise(bounds, row.decidedAtMs < begunAtMs ? row.total : 0, row.total)
      }
    }
  }

  #of(user: string, peer: number): Moved {
    const ofUser = this.#moved.get(user) ?? new Map<number, Moved>()
    this.#moved.set(user, ofUser)
    const moved = ofUser.get(peer) ?? { lent: { least: 0, most: 0 }, got: { least: 0, most: 0 } }
    ofUser.set(peer, moved)
    return moved
  }
}

function raise(bounds: Bounds, least: number, most: number): void {
  bounds.least = Math.max(bounds.least, least)
  bounds.most = Math.max(bounds.most, most)
}
