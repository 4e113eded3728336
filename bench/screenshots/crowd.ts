import { setTimeout as delay } from 'node:timers/promises'

const buyersAtOnce = 32
const retryMs = 200

interface Sale {
  readonly id: number
  readonly items: number
}

/** Buyers for a picture: they take items in a shuffled order, as many as they are told to. */
export class Crowd {
  readonly #url: string
  readonly #order: number[]
  readonly #sale: Sale
  /** Codes of the holds that are not purchased. */
  readonly #codes: string[] = []

  private constructor(url: string, sale: Sale) {
    this.#url = url
    this.#sale = sale
    this.#order = shuffled(sale.items)
  }

  /** `kept`: the last items of the sale, which it leaves to others. */
  static async at(url: string, { kept }: { kept: number }): Promise<Crowd> {
    const { id, items } = (await (await fetch(`${url}/sale`)).json()) as Sale
    return new Crowd(url, { id, items: items - kept })
  }

  /** Takes so many more items at this pace, and purchases that share of them. */
  async buy({ count, perSecond, purchased }: { count: number; perSecond: number; purchased: number }): Promise<void> {
    const mine = this.#order.splice(0, count)
    const startedMs = performance.now()
    let taken = 0
    const buyer = async (): Promise<void> => {
      for (let item = mine.pop(); item !== undefined; item = mine.pop()) {
        taken += 1
        await delay(startedMs + (taken * 1_000) / perSecond - performance.now())
        await this.#buyOne(item, Math.random() < purchased)
      }
    }
    await Promise.all(Array.from({ length: buyersAtOnce }, buyer))
  }

  async #buyOne(item: number, isPurchased: boolean): Promise<void> {
    const query = new URLSearchParams({ user_id: `crowd-${item}`, id: `${this.#sale.id}-${item}` })
    const { code } = (await this.#post(`/checkout?${query.toString()}`)) as { code: string }
    if (isPurchased) await this.#post(`/purchase?code=${code}`)
    else this.#codes.push(code)
  }

  /** Purchases all that it holds. */
  async makeUpItsMind(): Promise<void> {
    for (const code of this.#codes.splice(0)) await this.#post(`/purchase?code=${code}`)
  }

  /** Asks again until it is answered: the server may be busy, and every item counts for the picture. */
  async #post(path: string): Promise<unknown> {
    for (;;) {
      const reply = await fetch(this.#url + path, { method: 'POST' })
      const body: unknown = await reply.json()
      if (reply.ok) return body
      if (reply.status !== 503) throw new Error(`${path}: ${JSON.stringify(body)}`)
      await delay(retryMs)
    }
  }
}

function shuffled(items: number): number[] {
  const order = Array.from({ length: items }, (_, at) => at + 1)
  for (let at = items - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    const [a, b] = [order[at] as number, order[other] as number]
    order[at] = b
    order[other] = a
  }
  return order
}
