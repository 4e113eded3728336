import { formatItemId } from '../../core/ids.ts'

/** A checkout of an item, or the purchase with a code. */
export type Errand = { readonly item: number } | { readonly code: string }

export interface Stock {
  readonly sale: number
  readonly items: number
  /** The items up to this one are left to others. */
  readonly after?: number
}

const users = 500_000

/**
 * What there is to be asked for: checkouts of fresh items and purchases of what is held, half and half while there are
 * both. What was turned away comes back, so that an overload uses up no items.
 */
export class Errands {
  readonly #stock: Stock
  readonly #requestEnd: string
  readonly #items: number[] = []
  readonly #codes: string[] = []
  /** The last item that was asked for. */
  #fresh: number
  #isPurchase = false

  constructor(stock: Stock, host: string) {
    this.#stock = stock
    this.#fresh = stock.after ?? 0
    this.#requestEnd = ` HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  }

  get isUsedUp(): boolean {
    return this.#fresh >= this.#stock.items + (this.#stock.after ?? 0)
  }

  next(): Errand {
    this.#isPurchase = !this.#isPurchase
    const code = this.#isPurchase ? this.#codes.pop() : undefined
    return code === undefined ? { item: this.#items.pop() ?? ++this.#fresh } : { code }
  }

  held(code: string): void {
    this.#codes.push(code)
  }

  turnedAway(errand: Errand): void {
    if ('code' in errand) this.#codes.push(errand.code)
    else this.#items.push(errand.item)
  }

  requestText(errand: Errand): string {
    if ('code' in errand) return `POST /purchase?code=${errand.code}${this.#requestEnd}`
    const { item } = errand
    return `POST /checkout?user_id=user-${item % users}&id=${formatItemId(this.#stock.sale, String(item))}${this.#requestEnd}`
  }
}
