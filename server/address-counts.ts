import { addressesCountedMax, addressLookIntervalMs } from '../core/limits.ts'
import { addressKey } from './client-address.ts'

export interface AddressCountsOptions {
  /** Connections that one client address may have with all workers. */
  readonly max: number
  readonly workers: number
  /** Counts the open connections of each address. An error: the system can't say. */
  readonly look: () => Promise<Map<string, number>>
}

/**
 * Which addresses have as many connections as they may. A socket that is closed no longer says whose it was, so
 * connections can't be counted down. They are counted up, which costs nothing for each request, and while an address is
 * above half of its bound the kernel is asked how many it really has. The other workers are taken to get as many as this
 * one in between: the kernel deals connections out evenly.
 */
export class AddressCounts {
  readonly #options: AddressCountsOptions
  /** About as many as each address has, or more: what the last look found, and what was opened since it began. */
  #counts = new Map<string, number>()
  /** What was opened since the look that is under way began. */
  #sinceLook: Map<string, number> | undefined
  #isWatching = false

  constructor(options: AddressCountsOptions) {
    this.#options = options
  }

  /** Counts a new connection. `false`: it is one too many. @param address in network order */
  opened(address: ArrayBuffer): boolean {
    const key = addressKey(new Uint8Array(address))
    const { max, workers } = this.#options
    const count = add(this.#counts, key, workers)
    if (this.#sinceLook !== undefined) add(this.#sinceLook, key, workers)
    if (!this.#isWatching && (this.#isNear(count) || this.#counts.size > addressesCountedMax)) void this.#watch()
    return count <= max
  }

  /** Looks now, and again until no address is near its bound: a count that is too high must not outlive its cause. */
  async #watch(): Promise<void> {
    this.#isWatching = true
    await this.#look()
    setTimeout(() => {
      this.#isWatching = false
      for (const count of this.#counts.values()) if (this.#isNear(count)) return void this.#watch()
    }, addressLookIntervalMs).unref()
  }

  async #look(): Promise<void> {
    const since = new Map<string, number>()
    this.#sinceLook = since
    // Without knowing who has closed, nobody may be refused for what it opened before; the worker's bound still holds.
    const counts = await this.#options.look().catch(() => new Map<string, number>())
    for (const [key, count] of since) add(counts, key, count)
    this.#counts = counts
    this.#sinceLook = undefined
  }

  #isNear(count: number): boolean {
    return count > this.#options.max / 2
  }
}

function add(counts: Map<string, number>, key: string, count: number): number {
  const sum = (counts.get(key) ?? 0) + count
  counts.set(key, sum)
  return sum
}
