import assert from 'node:assert/strict'
import type { RightsOfUser } from '../../core/redis/rights-store.ts'
import type { ModelShard } from './rights-model.ts'
import type { RunOptions } from './rights-run.ts'

export const firstEpoch = 1

interface AdmissionOptions extends RunOptions {
  readonly nowMs: () => number
  /** Waits until all that the shard has decided is in Postgres. */
  readonly drain: (shard: ModelShard) => void
}

/** A buyer has more at a shard than rights. */
interface Missing {
  readonly shard: ModelShard
  readonly user: string
  readonly missing: number
}

/** How shards that have lost something come to decide again. */
export class RightsAdmission {
  readonly #shards: readonly ModelShard[]
  readonly #options: AdmissionOptions
  readonly #real: RunOptions['real']
  /** The newest epoch of each shard that anybody knows of: what Postgres has. */
  readonly #epochs: number[]

  constructor(shards: readonly ModelShard[], options: AdmissionOptions) {
    this.#shards = shards
    this.#options = options
    this.#real = options.real
    this.#epochs = shards.map(() => firstEpoch)
  }

  /** The protocol of admission, in its steps: others decide between them. */
  async *admit(waiting: readonly ModelShard[], declared: ReadonlyMap<number, number>): AsyncGenerator<void> {
    const others = this.#shards.filter(({ isAdmitted }) => isAdmitted)
    const lost = new Map(declared)
    const epochs = new Map(waiting.map(({ number }) => [number, this.nextEpoch(number)]))
    for (const other of others) {
      for (const [shard, epoch] of epochs) {
        other.acceptFrom(shard, epoch)
        const own = await this.#real?.acceptFrom(other.number, { shard, epoch })
        assert.equal(own ?? other.epoch, other.epoch)
      }
      yield
    }
    for (const other of others) {
      for (const shard of waiting) yield* this.#tell(other, shard)
    }
    for (const one of waiting) {
      for (const other of waiting) if (one !== other) yield* this.#tell(one, other)
    }
    for (const number of this.#options.protocol === 'unrecorded' ? [] : declared.keys()) {
      for (const shard of waiting) yield* this.#tell(this.#shards[number] as ModelShard, shard)
    }
    if (this.#options.protocol !== 'unsettled') await this.#settle(waiting, [...declared.keys()])
    for (const shard of waiting) {
      const accepts = new Map([...others.map(({ number, epoch }) => [number, epoch] as const), ...epochs, ...lost])
      accepts.delete(shard.number)
      await this.begin(shard, epochs.get(shard.number) ?? 0, accepts)
      yield
    }
  }

  /** Those that were declared lost as they will be when they come back, by what all others know. */
  #comingBack(waiting: readonly ModelShard[], declared: readonly number[]): ModelShard[] {
    const others = this.#shards.filter(({ isAdmitted }) => isAdmitted)
    const lost = declared.map((number) => this.#shards[number] as ModelShard)
    return lost.map((shard) => {
      const back = shard.clone()
      for (const from of [...waiting, ...others, ...lost]) {
        if (from !== shard) back.restoreRights(from.number, mirrored(from.rightsWith(shard.number)))
      }
      return back
    })
  }

  async #settle(waiting: readonly ModelShard[], declared: readonly number[]): Promise<void> {
    const back = this.#comingBack(waiting, declared)
    const isCut = this.#cutHolds(this.#giveRights([...waiting, ...back], waiting), { waiting, back })
    const missing = isCut ? this.#giveRights([...waiting, ...back], waiting) : this.#missing([...waiting, ...back])
    const [lender] = declared
    for (const { shard, user, missing: count } of missing) {
      if (!waiting.includes(shard)) continue
      // With a part of the protocol left out the limit itself is to show it.
      assert.ok(lender !== undefined || this.#options.protocol !== 'whole', 'only holds are ever too many')
      if (lender === undefined) continue
      shard.owe(lender, user, count)
      this.#options.tally.event('owed')
    }
    assert.equal((await this.#real?.settle(waiting.map(({ number }) => number))) ?? 0, 0)
  }

  /** Gives those that are short what is free at those that wait. @returns what is missing still */
  #giveRights(short: readonly ModelShard[], waiting: readonly ModelShard[]): Missing[] {
    for (const { shard, user, missing } of this.#missing(short)) {
      this.#options.tally.event('short')
      let left = missing
      for (const giver of waiting) {
        if (giver === shard || left === 0) continue
        const { given, total } = giver.give(shard.number, user, left, this.#options.nowMs())
        if (given > 0) shard.restoreRights(giver.number, [{ user, lent: 0, got: total }])
        left -= given
      }
    }
    return this.#missing(short)
  }

  #missing(shards: readonly ModelShard[]): Missing[] {
    return shards.flatMap((shard) => shard.shortOfRights(this.#options.nowMs()).map((buyer) => ({ shard, ...buyer })))
  }

  /** As many holds of each buyer as there are too many, when what was bought from those that come back counts too. */
  #cutHolds(
    missing: readonly Missing[],
    { waiting, back }: { waiting: readonly ModelShard[]; back: readonly ModelShard[] },
  ): boolean {
    let isCut = false
    for (const user of new Set(missing.map((each) => each.user))) {
      const here = missing.filter((each) => each.user === user && waiting.includes(each.shard))
      let tooMany = here.reduce((total, each) => total + each.missing, 0)
      for (const shard of back) tooMany += shard.bought(user) - shard.rights(user)
      for (; tooMany > 0; tooMany--) {
        const ends = waiting.map((shard) => shard.firstEnd(user, this.#options.nowMs()))
        const first = waiting[ends.indexOf(Math.min(...ends))]
        const isHold = Math.min(...ends) < Number.POSITIVE_INFINITY
        // With a part of the protocol left out the limit itself is to show it.
        assert.ok(isHold || this.#options.protocol !== 'whole', 'only holds are ever too many')
        if (!isHold) break
        first?.cutFirst(user, this.#options.nowMs())
        this.#options.tally.event('cut')
        isCut = true
      }
    }
    return isCut
  }

  nextEpoch(shard: number): number {
    const epoch = 1 + (this.#epochs[shard] ?? 0)
    this.#epochs[shard] = epoch
    return epoch
  }

  /** What one shard knows of the rights between them, to one that waits. */
  async *#tell(from: ModelShard, to: ModelShard): AsyncGenerator<void> {
    const known = from.rightsWith(to.number)
    const found = await this.#real?.rightsWith(from.number, to.number, from.isAdmitted)
    if (found)
      assert.deepEqual(
        found,
        known.toSorted((a, b) => (a.user < b.user ? -1 : 1)),
      )
    yield
    const told = mirrored(known)
    if (told.length === 0) return
    if (to.lacksGot(from.number, told)) this.#options.drain(from)
    to.restoreRights(from.number, told)
    await this.#real?.restoreRights(to.number, from.number, told)
  }

  async begin(shard: ModelShard, epoch: number, accepts: ReadonlyMap<number, number>): Promise<void> {
    await this.#real?.admit(shard.number, { old: shard.epoch, new: epoch }, accepts)
    shard.admit(epoch, accepts)
    this.#options.tally.event('admitted')
  }
}

/** One shard's lent is the other's got. */
function mirrored(users: readonly RightsOfUser[]): RightsOfUser[] {
  return users.map(({ user, lent, got }) => ({ user, lent: got, got: lent }))
}
