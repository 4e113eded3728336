import assert from 'node:assert/strict'

/** A state as the two bits of the board's messages. */
export const stateBits = { available: 0, held: 1, sold: 2 } as const
type StateBits = (typeof stateBits)[keyof typeof stateBits]

/** The states of a sale's items as a worker shows them, and which have changed since it last told. */
export class ItemStates {
  readonly count: number
  /** The first so many are told of; all of them count. */
  readonly shown: number
  held = 0
  sold = 0
  /** When the first hold of those at the last `expire` ends, ms since the sale opened. */
  firstExpiryMs: number | undefined
  /** By index - 1, like all of these. */
  readonly #states: Uint8Array
  /** When a held item's hold expires, ms since the sale opened: below 2^32, as in Redis' item entries. */
  readonly #expiries: Uint32Array
  readonly #isChanged: Uint8Array
  #changed: number[] = []
  #packed: Buffer | undefined

  constructor(count: number, shown = count) {
    this.count = count
    this.shown = Math.min(count, shown)
    this.#states = new Uint8Array(count)
    this.#expiries = new Uint32Array(count)
    this.#isChanged = new Uint8Array(this.shown)
  }

  /**
   * @param index from 1, as in an item's id
   * @param expiryMs when the hold expires, ms since the sale opened
   */
  hold(index: number, expiryMs: number): void {
    this.#set(index - 1, stateBits.held)
    this.#expiries[index - 1] = expiryMs
  }

  /** @param index from 1 */
  sell(index: number): void {
    this.#set(index - 1, stateBits.sold)
  }

  /** @param index from 1 */
  release(index: number): void {
    this.#set(index - 1, stateBits.available)
  }

  /**
   * Frees what is held no longer: nothing in Redis changes when a hold expires. Some 4 ms for a million items.
   * @param nowMs since the sale opened
   */
  expire(nowMs: number): void {
    let first = Number.POSITIVE_INFINITY
    for (let at = 0; this.held > 0 && at < this.count; at++) {
      if (this.#states[at] !== stateBits.held) continue
      const expiryMs = this.#expiries[at] as number
      if (expiryMs <= nowMs) this.#set(at, stateBits.available)
      else if (expiryMs < first) first = expiryMs
    }
    this.firstExpiryMs = first === Number.POSITIVE_INFINITY ? undefined : first
  }

  /** The shown states, two bits each, the first item in the lowest bits of the first byte. Kept until one changes. */
  pack(): Buffer {
    if (this.#packed !== undefined) return this.#packed
    const packed = Buffer.alloc(Math.ceil(this.shown / 4))
    for (let at = 0; at < this.shown; at++)
      packed[at >> 2] = (packed[at >> 2] as number) | ((this.#states[at] as number) << ((at & 3) * 2))
    this.#packed = packed
    return packed
  }

  /**
   * What has changed since the last call: for each item, in order, the distance to the one before (the first: to item
   * 0) times 4, plus the state, as a LEB128 number. A byte or two for each; an item that changed twice stands once.
   */
  takeChanges(): Buffer {
    const changed = this.#changed.toSorted((a, b) => a - b)
    this.#changed = []
    const bytes: number[] = []
    let before = -1
    for (const at of changed) {
      this.#isChanged[at] = 0
      pushLeb128(bytes, (at - before) * 4 + (this.#states[at] as number))
      before = at
    }
    return Buffer.from(bytes)
  }

  #set(at: number, state: StateBits): void {
    const old = this.#states[at]
    assert(old !== undefined, 'the sale has no such item')
    if (old === state) return
    if (old === stateBits.held) this.held -= 1
    if (state === stateBits.held) this.held += 1
    if (old === stateBits.sold) this.sold -= 1
    if (state === stateBits.sold) this.sold += 1
    this.#states[at] = state
    if (at >= this.shown) return
    this.#packed = undefined
    if (this.#isChanged[at] === 1) return
    this.#isChanged[at] = 1
    this.#changed.push(at)
  }
}

function pushLeb128(bytes: number[], value: number): void {
  let rest = value
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
}
