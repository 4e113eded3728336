import { largeFileBurstBytes, largeFileBytesPerSecond } from '../limits.ts'

const bytesPerMs = largeFileBytesPerSecond / 1_000

/**
 * How often a large file may be sent. What clients don't read stays in the kernel's memory, some of it for minutes after
 * their connections are closed, and all sockets of the machine share that memory.
 */
export class SendBudget {
  /** Of the burst, at `#atMs`. */
  #spentBytes = 0
  #atMs = 0

  /**
   * @param nowMs of a clock that never goes back
   * @param bytes that are sent: a file has several lengths, compressed and not
   */
  takes(nowMs: number, bytes: number): boolean {
    // In bytes: with times a burst that is used to the last byte would be one too many where a clock's fractions don't add up.
    this.#spentBytes = Math.max(0, this.#spentBytes - (nowMs - this.#atMs) * bytesPerMs)
    this.#atMs = nowMs
    if (this.#spentBytes + bytes > largeFileBurstBytes) return false
    this.#spentBytes += bytes
    return true
  }
}
