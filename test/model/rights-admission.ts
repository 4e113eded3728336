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
    for (const back of this.#comingBack(waiting, declared)) this.#giveRights(back, { waiting, declared: [] })
    const short = waiting.filter((shard) => this.#giveRights(shard, { waiting, declared }) > 0)
    const left = short.flatMap((shard) => shard.shortOfRights(this.#options.nowMs(), { cut: true }))
    assert.deepEqual(left, [], 'only holds are ever too many')
    assert.equal((await this.#real?.settle(waiting.map(({ number }) => number))) ?? 0, 0)
  }

  /** @returns how many are missing still */
  #giveRights(
    to: ModelShard,
    { waiting, declared }: { waiting: readonly ModelShard[]; declared: readonly number[] },
  ): number {
    let missing = 0
    for (const short of to.shortOfRights(this.#options.nowMs(), { cut: false })) {
      this.#options.tally.event('short')
      let left = short.missing
      for (const giver of waiting) {
        if (giver.number === to.number || left === 0) continue
        const { given, total } = giver.give(to.number, short.user, left, this.#options.nowMs())
        if (given > 0) to.restoreRights(giver.number, [{ user: short.user, lent: 0, got: total }])
        left -= given
      }
      const [lender] = declared
      if (left > 0 && lender !== undefined) {
        to.owe(lender, short.user, left)
        this.#options.tally.event('owed')
        left = 0
      }
      if (left > 0) this.#options.tally.event('cut')
      missing += left
    }
    return missing
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
