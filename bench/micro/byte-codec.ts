// The rival that knows our format: msgpack of a flat array, written and read byte by byte, without an array of values
// in between. Only for ASCII texts of up to 255 characters, which is all that the ids of hotcakes are made of.

import { type Outcome, outcomeByCode } from '../../core/outcomes.ts'
import { intervalMs, type SampleCommand } from './sample-sale.ts'

const array16 = 0xdc
const fixedString = 0xa0
const string8 = 0xd9
const uint8 = 0xcc
const uint16 = 0xcd
const uint32 = 0xce
const uint64 = 0xcf
const valuesPerCommand = 4

export class ByteWriter {
  readonly #bytes = Buffer.allocUnsafe(256 * 1024)
  #at = 0

  /** A copy, as long as the batch is. */
  batch(commands: readonly SampleCommand[]): Buffer {
    this.#at = 0
    this.#head(2 + commands.length * valuesPerCommand)
    this.#integer(1)
    this.#integer(intervalMs)
    for (const { sale, index, nonce, user } of commands) {
      this.#integer(sale)
      this.#string(index)
      this.#string(nonce)
      this.#string(user)
    }
    return Buffer.from(this.#bytes.subarray(0, this.#at))
  }

  #head(length: number): void {
    if (length < 16) {
      this.#bytes[this.#at++] = 0x90 | length
      return
    }
    this.#bytes[this.#at++] = array16
    this.#at = this.#bytes.writeUInt16BE(length, this.#at)
  }

  #integer(value: number): void {
    if (value < 0x80) {
      this.#bytes[this.#at++] = value
      return
    }
    this.#bytes[this.#at++] = value > 0xffff ? uint32 : value > 0xff ? uint16 : uint8
    if (value > 0xffff) this.#at = this.#bytes.writeUInt32BE(value, this.#at)
    else if (value > 0xff) this.#at = this.#bytes.writeUInt16BE(value, this.#at)
    else this.#bytes[this.#at++] = value
  }

  #string(text: string): void {
    const { length } = text
    if (length < 32) this.#bytes[this.#at++] = fixedString | length
    else {
      this.#bytes[this.#at++] = string8
      this.#bytes[this.#at++] = length
    }
    // A call into C++ costs more than a few characters do.
    for (let n = 0; n < length; n++) this.#bytes[this.#at + n] = text.charCodeAt(n)
    this.#at += length
  }
}

/** A cursor over the values of an encoded flat array. */
class ByteCursor {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  /** To the first value; returns the number of values. */
  open(bytes: Buffer): number {
    this.#bytes = bytes
    const head = bytes[0] as number
    this.#at = head === array16 ? 3 : 1
    return head === array16 ? bytes.readUInt16BE(1) : head & 0x0f
  }

  integer(): number {
    const bytes = this.#bytes
    const head = bytes[this.#at++] as number
    if (head < 0x80) return head
    const at = this.#at
    if (head === uint8) {
      this.#at += 1
      return bytes[at] as number
    }
    if (head === uint16) {
      this.#at += 2
      return bytes.readUInt16BE(at)
    }
    if (head === uint32) {
      this.#at += 4
      return bytes.readUInt32BE(at)
    }
    if (head !== uint64) throw new Error(`not a whole number: ${head}`)
    this.#at += 8
    return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  }

  string(): string {
    const head = this.#bytes[this.#at++] as number
    const length = head === string8 ? (this.#bytes[this.#at++] as number) : head & 0x1f
    const start = this.#at
    this.#at += length
    return this.#bytes.toString('latin1', start, this.#at)
  }
}

/** As core/decisions.ts' BatchReader. One can be used again and again. */
export class ByteBatchReader {
  sale = 0
  index = ''
  nonce = ''
  user = ''
  readonly #cursor = new ByteCursor()
  #left = 0

  open(encoded: Buffer): this {
    this.#left = (this.#cursor.open(encoded) - 2) / valuesPerCommand
    this.#cursor.integer()
    this.#cursor.integer()
    return this
  }

  next(): boolean {
    if (this.#left === 0) return false
    this.#left -= 1
    const cursor = this.#cursor
    this.sale = cursor.integer()
    this.index = cursor.string()
    this.nonce = cursor.string()
    this.user = cursor.string()
    return true
  }
}

/** As core/decisions.ts' DecisionReader. */
export class ByteDecisionReader {
  nowMs = 0
  outcome: Outcome = 'item_unknown'
  nonce = ''
  user = ''
  expiresAtMs = 0
  purchasedAtMs = 0
  readonly #cursor = new ByteCursor()
  #left = 0

  open(encoded: Buffer): this {
    this.#left = this.#cursor.open(encoded) - 1
    this.nowMs = this.#cursor.integer()
    return this
  }

  next(): boolean {
    if (this.#left === 0) return false
    const cursor = this.#cursor
    const outcome = outcomeByCode[cursor.integer()] as Outcome
    this.outcome = outcome
    this.#left -= 1
    if (outcome === 'held_again') {
      this.nonce = cursor.string()
      this.#left -= 1
    }
    if (outcome === 'purchased' || outcome === 'purchased_again') {
      this.user = cursor.string()
      this.#left -= 1
    }
    if (outcome === 'held' || outcome === 'held_again' || outcome === 'item_held') {
      this.expiresAtMs = this.nowMs + cursor.integer()
      this.#left -= 1
    }
    if (outcome === 'purchased') this.purchasedAtMs = this.nowMs
    if (outcome === 'purchased_again') {
      this.purchasedAtMs = this.nowMs - cursor.integer()
      this.#left -= 1
    }
    return true
  }
}
