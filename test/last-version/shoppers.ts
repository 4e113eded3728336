import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import type { HttpClient } from '../helpers/http-client.ts'
import { checkoutPath, purchasePath } from '../helpers/items.ts'
import type { Answer } from './story.ts'

/** A code of nobody's, of the length that codes have. */
const noNonce = 'AAAAAAAAAAAAAAAA'

/** Who come too late. */
const crowd = 60

/** Who buys from the last version, and keeps every answer that is a decision. */
export class Shoppers {
  http: HttpClient
  readonly answers: Answer[] = []
  /** By Redis' clock, the newest moment that was seen. */
  latestMs = 0

  constructor(http: HttpClient) {
    this.http = http
  }

  async #send(path: string): Promise<Answer> {
    const { status, headers, json = {} } = await this.http.post(path)
    const decision = headers['hotcakes-decision']
    assert.ok(typeof decision === 'string', `${path}: ${status}`)
    const answer = { path, status, decision, body: json }
    this.answers.push(answer)
    const { purchased_at: at } = json
    if (typeof at === 'string') this.latestMs = Math.max(this.latestMs, Date.parse(at))
    return answer
  }

  async #checkout(user: string, item: string, expected: string): Promise<string> {
    const { status, body } = await this.#send(checkoutPath(user, item))
    assert.equal(status === 200 ? 'held' : body['code'], expected, `${user} ${item}`)
    return String(body['code'])
  }

  async #purchase(code: string, expected: string): Promise<void> {
    const { status, body } = await this.#send(purchasePath(code))
    assert.equal(status === 200 ? body['status'] : body['code'], expected, code)
  }

  /** In which nothing is held any more when it ends. */
  async shopInSaleThatEnds(sale: number, holdSeconds: number): Promise<void> {
    const codes: string[] = []
    for (let item = 1; item <= 20; item++)
      codes.push(await this.#checkout(`early-${item % 10}`, `${sale}-${item}`, 'held'))
    for (const code of codes.slice(0, 10)) await this.#purchase(code, 'purchased')
    await this.#checkout('early-0', `${sale}-1`, 'item_sold')
    await delay(2 * holdSeconds * 1_000)
    for (const code of codes.slice(10, 15)) await this.#purchase(code, 'code_expired')
    await this.#checkout('late', `${sale}-20`, 'held') // took over what had expired
  }

  /** Half of a sale: the items from there on, thirty of them. */
  async shop(sale: number, { from }: { from: number }): Promise<void> {
    const item = (n: number) => `${sale}-${from + n}`
    const held: string[] = []
    // Three for each of users 0 to 5, two for 6, one for 7.
    for (let n = 0; n < 21; n++) held.push(await this.#checkout(`user-${from}-${Math.floor(n / 3)}`, item(n), 'held'))
    for (let n = 0; n < 21; n += 2) await this.#purchase(held[n] ?? '', 'purchased')
    await this.#purchase(held[0] ?? '', 'purchased')
    await this.#checkout(`user-${from}-0`, item(1), 'held')
    await this.#checkout(`user-${from}-7`, item(0), 'item_sold')
    await this.#checkout(`user-${from}-7`, item(1), 'item_held')
    for (let n = 0; n < crowd; n++) await this.#checkout(`crowd-${n}`, item(2 * (n % 10)), 'item_sold')
    for (let user = 0; user < 6; user++) await this.#checkout(`user-${from}-${user}`, item(25), 'user_limit_reached')
    await this.#checkout('curious', `${sale}-61`, 'item_unknown')
    await this.#checkout('curious', `${sale}-999999`, 'item_unknown')
    await this.#checkout('curious', `${sale - 1}-30`, 'sale_closed')
    await this.#checkout('curious', `${sale - 5}-30`, 'sale_closed')
    await this.#checkout('curious', `${sale + 50}-1`, 'sale_not_open')
    await this.#purchase(`${item(0)}-${noNonce}`, 'code_unknown')
    await this.#purchase(`${sale - 5}-1-${noNonce}`, 'code_unknown')
    await this.#purchase(`${item(29)}-${noNonce}`, 'code_unknown')
  }
}
