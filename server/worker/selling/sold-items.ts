import { soldIndexMax, soldSalesMax } from '../../../core/limits.ts'
import { parseLogPosition } from '../../../core/log-position.ts'

/**
 * Which items of a shard were sold, as far as this worker has seen it decided. That is final as long as the epoch lasts: only
 * a Redis that has lost data gives an item back, and it decides in a new epoch. So Redis is told in which one this was seen,
 * and believes nothing of another. What is forgotten, or was never seen, costs a look at the item.
 */
export class SoldItems {
  /** Of the log; 0: nothing is known. */
  #epoch = 0
  /** Sale -> a bit for each index. */
  readonly #sales = new Map<number, Uint8Array>()

  get epoch(): number {
    return this.#epoch
  }

  /** Decisions of the log entry follow. */
  decidedIn(logId: string): void {
    const { epoch } = parseLogPosition(logId)
    if (epoch === this.#epoch) return
    this.clear()
    this.#epoch = epoch
  }

  /** Its decision said so, in the log entry that was named last. */
  learn(sale: number, index: string): void {
    const place = Number(index)
    if (place > soldIndexMax) return
    const bits = this.#bitsFor(sale, place >> 3)
    if (bits !== undefined) bits[place >> 3] = (bits[place >> 3] as number) | (1 << (place & 7))
  }

  has(sale: number, index: string): boolean {
    const bits = this.#sales.get(sale)
    if (bits === undefined) return false
    const place = Number(index)
    return place <= soldIndexMax && ((bits[place >> 3] ?? 0) & (1 << (place & 7))) !== 0
  }

  /** What comes next may be of another Redis. */
  clear(): void {
    this.#epoch = 0
    this.#sales.clear()
  }

  /** undefined: of newer sales more is asked for. */
  #bitsFor(sale: number, byte: number): Uint8Array | undefined {
    const bits = this.#sales.get(sale)
    if (bits !== undefined && byte < bits.length) return bits
    if (bits === undefined && this.#sales.size === soldSalesMax) {
      const oldest = Math.min(...this.#sales.keys())
      if (sale < oldest) return undefined
      this.#sales.delete(oldest)
    }
    const longer = new Uint8Array(Math.max(2 * (bits?.length ?? 0), byte + 1))
    if (bits !== undefined) longer.set(bits)
    this.#sales.set(sale, longer)
    return longer
  }
}
