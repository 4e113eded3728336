const dollar = 36
const star = 42
const plus = 43
const minus = 45
const colon = 58
const zero = 48
const nine = 57
const carriageReturn = 13
const lineFeed = 10

/**
 * Where replies of Redis (RESP2) end, in chunks that may end anywhere: each byte is looked at once, and those of a text not at
 * all. So whoever has handed on all replies before knows where the next one begins.
 */
export class ReplyScanner {
  /** Of the reply that has begun, with those that stand in its lists. */
  #repliesLeft = 0
  /** Of a text, with its line break. */
  #textBytesLeft = 0
  /** Of the line that has begun; 0: none has. */
  #type = 0
  #count = 0
  #isNegative = false
  #isBreaking = false
  #isLost = false

  /** All replies that have begun have ended. */
  get isBetween(): boolean {
    return this.#repliesLeft === 0
  }

  /** What came is no RESP2: nobody knows what ends where from here on. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Where the reply ends that goes on, or begins, at `from`, behind its last line break; -1: not in this chunk. */
  endIn(chunk: Buffer, from: number): number {
    let at = from
    if (this.#repliesLeft === 0) this.#repliesLeft = 1
    while (this.#repliesLeft > 0) {
      if (this.#textBytesLeft > 0) {
        const bytes = Math.min(this.#textBytesLeft, chunk.length - at)
        at += bytes
        this.#textBytesLeft -= bytes
        if (this.#textBytesLeft > 0) return -1
        this.#repliesLeft -= 1
      } else {
        at = this.#endOfLine(chunk, at)
        if (at < 0) return -1
      }
    }
    return at
  }

  #endOfLine(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length && !this.#isLost; at++) {
      const byte = chunk[at] as number
      if (this.#type === 0) this.#begin(byte)
      else if (this.#isBreaking) {
        this.#end(byte)
        return this.#isLost ? -1 : at + 1
      } else if (byte === carriageReturn) this.#isBreaking = true
      else if (this.#type === dollar || this.#type === star) this.#addDigit(byte)
    }
    return -1
  }

  #begin(type: number): void {
    this.#type = type
    this.#count = 0
    this.#isNegative = false
    this.#isLost = type !== dollar && type !== star && type !== plus && type !== minus && type !== colon
  }

  #addDigit(byte: number): void {
    if (byte === minus) this.#isNegative = true
    else if (byte >= zero && byte <= nine) this.#count = this.#count * 10 + byte - zero
    else this.#isLost = true
  }

  #end(byte: number): void {
    if (byte !== lineFeed) {
      this.#isLost = true
      return
    }
    if (this.#type === dollar && !this.#isNegative) this.#textBytesLeft = this.#count + 2
    else this.#repliesLeft += this.#type === star && !this.#isNegative ? this.#count - 1 : -1
    this.#type = 0
    this.#isBreaking = false
  }
}
