import { addressesCountedMax, addressLookIntervalMs, addressLookRestRatio } from '../limits.ts'
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
 * above half of its bound the kernel is asked how many it really has. In between, an address that comes back to this
 * worker is taken to get as many from each of the others: the kernel deals connections out evenly. Its first one counts
 * alone, or a bound below the number of workers would refuse everybody. So all workers together accept at most
 * `max + workers - 1`.
 */
export class AddressCounts {
  readonly #options: AddressCountsOptions
  /** What the last look found, of all workers. */
  #found = new Map<string, number>()
  /** What this worker has accepted since that look began. */
  #accepted = new Map<string, number>()
  /** What it has accepted since the look that is under way began. */
  #sinceLook: Map<string, number> | undefined
  #isWatching = false

  constructor(options: AddressCountsOptions) {
    this.#options = options
  }

  /** Counts a new connection. `false`: it is one too many, and not counted. @param address in network order */
  opened(address: ArrayBuffer): boolean {
    const key = addressKey(new Uint8Array(address))
    const { max, workers } = this.#options
    const accepted = this.#accepted.get(key) ?? 0
    const count = (this.#found.get(key) ?? 0) + accepted * workers + 1
    const isTaken = count <= max
    if (isTaken) {
      this.#accepted.set(key, accepted + 1)
      if (this.#sinceLook !== undefined) add(this.#sinceLook, key)
    }
    if (!this.#isWatching && (this.#isNear(count) || this.#accepted.size > addressesCountedMax)) void this.#watch()
    return isTaken
  }

  /** Looks now, and again until no address is near its bound: a count that is too high must not outlive its cause. */
  async #watch(): Promise<void> {
    this.#isWatching = true
    const startedMs = performance.now()
    await this.#look()
    // A short table is read so quickly that it can be read often.
    const restMs = Math.min(addressLookIntervalMs, (performance.now() - startedMs) * addressLookRestRatio)
    setTimeout(() => {
      this.#isWatching = false
      if (this.#isAnyNear()) void this.#watch()
    }, restMs).unref()
  }

  async #look(): Promise<void> {
    const since = new Map<string, number>()
    this.#sinceLook = since
    // Without knowing who has closed, nobody may be refused for what it opened before; the worker's bound still holds.
    this.#found = await this.#options.look().catch(noneKnown)
    this.#accepted = since
    this.#sinceLook = undefined
  }

  #isAnyNear(): boolean {
    for (const count of this.#found.values()) if (this.#isNear(count)) return true
    for (const [key, count] of this.#accepted) {
      if (this.#isNear((this.#found.get(key) ?? 0) + count * this.#options.workers)) return true
    }
    return false
  }

  #isNear(count: number): boolean {
    return count > this.#options.max / 2
  }
}

/** The kernel has no such table, or doesn't show it. */
function noneKnown(error: NodeJS.ErrnoException): Map<string, number> {
  if (error.syscall === undefined) throw error
  return new Map()
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
