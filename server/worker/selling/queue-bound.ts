/**
 * How many commands may wait so that the last of them still gets its turn in time (Little's law): the time it may wait,
 * divided by the time that a command was seen to take. A bound on the length alone would be a second's wait on a slow
 * disk, and turn buyers away for nothing on a quick one.
 */
export class QueueBound {
  readonly #waitMs: number
  readonly #least: number
  readonly #most: number
  #msPerCommand = 0
  #callMs = 0
  #commands: number

  /** @param options.least so many may always wait; @param options.most and never more */
  constructor({ waitMs, least, most }: { waitMs: number; least: number; most: number }) {
    this.#waitMs = waitMs
    this.#least = Math.min(least, most)
    this.#most = most
    this.#commands = most
  }

  get commands(): number {
    return this.#commands
  }

  /**
   * A call with so many commands was answered after `callMs`, and `ms` after the one before it, all the while there was
   * something to do. What a call takes, a request may have waited in the kernel before it was seen: both wait there for
   * this process to come to them.
   */
  observe(commandCount: number, { ms, callMs }: { ms: number; callMs: number }): void {
    const sample = ms / commandCount
    this.#msPerCommand = this.#msPerCommand === 0 ? sample : this.#msPerCommand + (sample - this.#msPerCommand) * weight
    this.#callMs += (callMs - this.#callMs) * weight
    const commands = Math.floor((this.#waitMs - this.#callMs) / this.#msPerCommand)
    this.#commands = Math.max(this.#least, Math.min(this.#most, commands))
  }
}

/** Of the newest batch in the mean: one slow fsync among eight does not decide, a disk that has become slow does within 20. */
const weight = 1 / 8
