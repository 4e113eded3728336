import { callFunction, functionName } from './library.ts'
import type { SaleStore } from './sale-store.ts'

/** Where a shard's epoch is. */
export interface ShardEpoch {
  readonly shard: number
  readonly epoch: number
}

/** What a shard has lent to another one of a user's rights and got from it, counted from the beginning of a sale. */
export interface RightsOfUser {
  readonly user: string
  readonly lent: number
  readonly got: number
}

/** What the functions do about the rights between a shard and another one: see functions/admission.lua. All throw Faults. */
export class RightsStore {
  readonly #store: SaleStore

  constructor(store: SaleStore) {
    this.#store = store
  }

  /**
   * From now on nothing counts here that the shard has said in an older epoch. Returns the epoch of this one, and the listed
   * sales that the other has a part in.
   * @throws Fault HC_RECORD_UNSOUND when this run is not admitted itself
   */
  async acceptFrom({ shard, epoch }: ShardEpoch): Promise<{ epoch: number; sales: number[] }> {
    const reply = await this.#call('accept_from', [this.#store.run, shard, epoch])
    const [own, sales] = reply as [number, number[]]
    return { epoch: own, sales }
  }

  /**
   * Some users of a sale with whose rights another shard has to do; go on with the returned cursor until it is '0'.
   * @param options.isAdmitted false: it is asked although this run isn't
   */
  async with(
    sale: number,
    shard: number,
    { cursor, count, isAdmitted = true }: { cursor: string; count: number; isAdmitted?: boolean },
  ): Promise<{ cursor: string; users: RightsOfUser[] }> {
    const run = isAdmitted ? this.#store.run : '-'
    const reply = await this.#call('rights_with', [run, sale, shard, cursor, count], sale)
    const [next, ...flat] = reply as [Buffer, ...(Buffer | number)[]]
    const users: RightsOfUser[] = []
    for (let at = 0; at < flat.length; at += 3) {
      users.push({ user: String(flat[at]), got: flat[at + 1] as number, lent: flat[at + 2] as number })
    }
    return { cursor: String(next), users }
  }

  /**
   * Those users of whom less is known here than these totals. `lent` and `got` as `restore` has them.
   * @returns of each whether it is of what was got
   */
  async lacking(sale: number, shard: number, users: readonly RightsOfUser[]): Promise<Map<string, boolean>> {
    const flat = users.flatMap(({ user, lent, got }) => [user, lent, got])
    const lacking = (await this.#call('rights_lacking', [sale, shard, ...flat], sale)) as (Buffer | number)[]
    const isGot = new Map<string, boolean>()
    for (let at = 0; at < lacking.length; at += 2) isGot.set(String(lacking[at]), lacking[at + 1] === 1)
    return isGot
  }

  /**
   * Raises what this shard knows to at least these totals. `lent` and `got` are this shard's: what the other has got, and
   * lent.
   * @returns whether the sale is listed
   * @throws Fault HC_RECORD_UNSOUND when this run is admitted
   */
  async restore(sale: number, shard: number, users: readonly RightsOfUser[]): Promise<boolean> {
    const flat = users.flatMap(({ user, lent, got }) => [user, lent, got])
    return (await this.#call('rights_restore', [this.#store.run, sale, shard, ...flat], sale)) === 1
  }

  #call(
    name: Parameters<typeof functionName>[0],
    args: readonly (string | number)[],
    ...sales: readonly number[]
  ): Promise<unknown> {
    const { redis, keys } = this.#store
    return callFunction(redis, keys, { name: functionName(name), args, sales })
  }
}
