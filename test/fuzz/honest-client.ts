import type { HttpClient } from '../helpers/http-client.ts'
import { checkoutPath, purchasePath, releasePath } from '../helpers/items.ts'

/** An ordinary buyer beside the hostile ones, who sometimes thinks twice: gets everything that it asks for. */
export class HonestClient {
  requests = 0
  readonly failures: string[] = []
  readonly #http: HttpClient
  readonly #sale: number
  #item: number
  #isDone = false
  #running = Promise.resolve()

  /** @param options.firstItem and those after it are nobody else's */
  constructor(http: HttpClient, options: { sale: number; firstItem: number }) {
    this.#http = http
    this.#sale = options.sale
    this.#item = options.firstItem
  }

  start(): void {
    this.#running = this.#buy()
  }

  stop(): Promise<void> {
    this.#isDone = true
    return this.#running
  }

  /** As many items as there are, each in another name: no limit is reached. */
  async #buy(): Promise<void> {
    while (!this.#isDone && this.failures.length < 10) {
      const item = this.#item++
      const checkout = checkoutPath(`honest-${item}`, `${this.#sale}-${item}`)
      let held = await this.#ask(checkout)
      if (item % 3 === 0 && typeof held?.['code'] === 'string') {
        await this.#ask(releasePath(held['code']))
        held = await this.#ask(checkout)
      }
      const code = held?.['code']
      if (typeof code === 'string') await this.#ask(purchasePath(code))
    }
  }

  async #ask(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    this.requests += 1
    try {
      const { status, json, text } = await this.#http.post(path)
      if (status === 200) return json
      this.failures.push(`${path}: ${status} ${text}`)
    } catch (error) {
      this.failures.push(`${path}: ${String(error)}`)
    }
    return undefined
  }
}
