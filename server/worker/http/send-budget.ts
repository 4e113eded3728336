import { largeFileBurstBytes, largeFileBytesPerSecond } from '../limits.ts'

const burstMs = (largeFileBurstBytes / largeFileBytesPerSecond) * 1_000

/**
 * How often a large file may be sent. What clients don't read stays in the kernel's memory, some of it for minutes after
 * their connections are closed, and all sockets of the machine share that memory.
 */
export class SendBudget {
  /** When all of the burst is there again. */
  #fullMs = Number.NEGATIVE_INFINITY

  /**
   * @param nowMs of a clock that never goes back
   * @param bytes that are sent: a file has several lengths, compressed and not
   */
  takes(nowMs: number, bytes: number): boolean {
    const fullMs = Math.max(nowMs, this.#fullMs) + (bytes / largeFileBytesPerSecond) * 1_000
    if (fullMs - nowMs > burstMs) return false
    this.#fullMs = fullMs
    return true
  }
}
