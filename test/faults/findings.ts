/** What the checker looks for, and what must hold. */
export const promises = {
  answer_missing: 'an answered decision has its row',
  purchase_missing: 'an acknowledged purchase has its row',
  answer_doubled: 'a decision is answered once',
  answer_differs: 'an answer says what its row says',
  order_broken: 'what was answered before a request was sent stands before it in the log',
  read_stale: 'an item whose purchase was acknowledged is seen as sold, and no other one is',
  row_unasked: 'a row without an answer is that of a request whose outcome is unknown',
  place_doubled: 'a place in the log has one row',
  place_missing: 'entries of an epoch and places of an entry follow one another, up to its end',
  rules_broken: 'a row says what the rules demand after all rows before it',
  item_sold_twice: 'an item is sold once',
  limit_passed: 'a user has at most as many items as the limit, at every moment and over all shards',
  limit_refused: 'nobody is refused for the limit who had a right left all the while',
  rights_differ: 'no right is received that was not lent, and none is there twice',
  stock_passed: 'no more is sold than there is',
  purchase_differs: 'a purchase has its attempt, and an attempt that succeeded its purchase',
  redis_differs: 'Redis holds what the rows lead to',
} as const

export type Promised = keyof typeof promises

export interface Breach {
  readonly promise: Promised
  readonly detail: string
}

/** Enough of each kind to see what happened; a first one often causes hundreds. */
const shownMax = 5

/** Collects what was found to be wrong, a few of each kind. */
export class Findings {
  readonly breaches: Breach[] = []
  readonly #counts = new Map<Promised, number>()

  add(promise: Promised, detail: string): void {
    const count = (this.#counts.get(promise) ?? 0) + 1
    this.#counts.set(promise, count)
    if (count <= shownMax) this.breaches.push({ promise, detail })
  }

  get count(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }
}
