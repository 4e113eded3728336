import { formatCode, formatItemId, NonceSource } from '../../core/ids.ts'
import type { SeededRandom } from '../harness/seeded-random.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import type { Recorder } from './recorder.ts'
import { bodyOf, codeIn } from './reply.ts'
import { type Mix, type Visit, visitNames } from './settings.ts'
import type { Shop } from './shop.ts'

export interface BuyerOptions {
  readonly shop: Shop
  readonly recorder: Recorder
  readonly mix: Mix
  readonly copies: number
  readonly random: SeededRandom
  /** Everything of a request from after its path to its end. */
  readonly requestEnd: string
}

const nonces = new NonceSource()

/** Retries of one request whose answer was lost. After these the buyer goes on to the next visit. */
const retriesMax = 3

/** What happens on one connection: visit after visit, one request at a time. */
export class Buyer {
  readonly #options: BuyerOptions
  /** Of the request that was sent last. */
  operation: LoadOperation = 'checkout'
  path = ''
  #visit: Visit = 'buy'
  /** Sends of the current request, of `copies`. */
  #sent = 0
  #lost = 0
  #isAgain = false
  /** The body of the first 200 to the current request, for its copies to equal. */
  #firstBody = ''
  /** To be purchased in the next request. */
  #code = ''
  #boughtCode = ''

  constructor(options: BuyerOptions) {
    this.#options = options
  }

  /** The next request's text: of a copy, of the rest of this visit, or of a new one. */
  next(): string {
    const isCopy = this.#sent > 0 && (this.#sent < this.#options.copies || this.#lost > 0)
    if (!isCopy) this.#begin()
    if (this.#lost === 0) this.#sent += 1
    return `POST ${this.path}${this.#options.requestEnd}`
  }

  /** @param reply as it came over the wire, head and all */
  answered(status: number, reply: Buffer): void {
    this.#lost = 0
    this.#options.recorder.answered()
    if (status >= 200 && status < 300) this.#accepted(reply)
    else this.#options.recorder.turnedDown({ operation: this.operation, path: this.path, status, reply })
  }

  /** No answer came: the same request again, which is safe. */
  lost(): void {
    this.#lost = this.#lost < retriesMax ? this.#lost + 1 : 0
    if (this.#lost === 0) this.#sent = 0
  }

  #begin(): void {
    const { shop } = this.#options
    this.#sent = 0
    this.#lost = 0
    this.#firstBody = ''
    this.#isAgain = false
    if (this.#code === '') {
      this.#visit = this.#draw()
      if (this.#visit === 'again') this.#code = this.#boughtCode
      if (this.#visit === 'guess') this.#code = formatCode(shop.saleId, shop.pickItem(), nonces.next())
    }
    if (this.#code === '') {
      this.operation = 'checkout'
      this.path = `/checkout?user_id=${shop.pickUser()}&id=${formatItemId(shop.saleId, shop.pickItem())}`
      return
    }
    this.operation = 'purchase'
    this.path = `/purchase?code=${this.#code}`
    this.#isAgain = this.#visit === 'again'
    this.#code = ''
  }

  /** The first visits of a connection that wants to purchase again are ordinary ones: it has nothing yet. */
  #draw(): Visit {
    const { mix, random } = this.#options
    let at = random.next() * visitNames.reduce((total, visit) => total + mix[visit], 0)
    const drawn = visitNames.find((visit) => (at -= mix[visit]) < 0) ?? 'buy'
    return drawn === 'again' && this.#boughtCode === '' ? 'buy' : drawn
  }

  #accepted(reply: Buffer): void {
    const { recorder, copies } = this.#options
    const { tally } = recorder
    if (copies > 1) {
      const body = bodyOf(reply)
      if (this.#firstBody !== '') {
        if (body === this.#firstBody) tally.repeats += 1
        else recorder.unexpected('a copy was answered differently', this.path, reply)
        return
      }
      this.#firstBody = body
    }
    if (this.operation === 'purchase') {
      if (this.#isAgain) tally.repeats += 1
      else if (this.#visit === 'guess') recorder.unexpected('a made-up code was redeemed', this.path, reply)
      else {
        recorder.purchased()
        this.#boughtCode = this.path.slice('/purchase?code='.length)
      }
      return
    }
    const code = codeIn(reply)
    if (code === '') {
      recorder.unexpected('a checkout was answered without a code', this.path, reply)
      return
    }
    tally.holds += 1
    if (this.#visit !== 'hold') this.#code = code
  }
}
