import { askSale, type ServedSale } from './server-view.ts'
import type { Sale } from './shop.ts'

const askMs = 1_000
/** After the boundary, and again and again for a server whose clock is late. */
const boundarySlackMs = 20

/** Notices that the next sale has opened, at the latest a second after. */
export class SaleWatch {
  readonly #url: string
  readonly #onChange: (sale: Sale) => void
  readonly #timer: NodeJS.Timeout
  #sale: ServedSale
  #boundary: NodeJS.Timeout | undefined
  #isClosed = false
  changes = 0

  constructor(url: string, sale: ServedSale, onChange: (sale: Sale) => void) {
    this.#url = url
    this.#sale = sale
    this.#onChange = onChange
    this.#timer = setInterval(() => void this.#ask(), askMs)
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    clearTimeout(this.#boundary)
  }

  async #ask(): Promise<void> {
    const sale = await askSale(this.#url).catch(() => undefined) // the generators see that it does not answer
    if (sale === undefined) return
    const untilBoundaryMs = sale.closesAtMs - Date.now()
    if (untilBoundaryMs < askMs && !this.#isClosed) {
      clearTimeout(this.#boundary)
      this.#boundary = setTimeout(() => void this.#ask(), Math.max(0, untilBoundaryMs) + boundarySlackMs)
    }
    if (sale.id === this.#sale.id) return
    this.#sale = sale
    this.changes += 1
    this.#onChange({ id: sale.id, items: sale.items })
  }
}
