// What this browser holds and has bought, kept over a reload: a code is all it takes to purchase.

const key = 'hotcakes.basket'
const userKey = 'hotcakes.user'

/** @typedef {{ code: string, expiresAtMs: number, purchasedAtMs?: number }} Deal */

export class Basket {
  /** Item id -> deal. @type {Map<string, Deal>} */
  #deals = new Map()

  constructor() {
    try {
      this.#deals = new Map(Object.entries(JSON.parse(localStorage.getItem(key) ?? '{}')))
    } catch {
      // Storage is off or holds something else: the basket lives as long as the page.
    }
  }

  get(id) {
    return this.#deals.get(id)
  }

  put(id, deal) {
    this.#deals.set(id, deal)
    this.#save()
  }

  remove(id) {
    this.#deals.delete(id)
    this.#save()
  }

  /** Forgets what belongs to other sales, but for holds that can still be purchased. */
  keep(sale, nowMs) {
    for (const [id, { expiresAtMs, purchasedAtMs }] of this.#deals) {
      const isAlive = purchasedAtMs === undefined && expiresAtMs > nowMs
      if (!id.startsWith(`${sale}-`) && !isAlive) this.#deals.delete(id)
    }
    this.#save()
  }

  /** Alive holds and purchases, oldest first. */
  list(nowMs) {
    return [...this.#deals].filter(([, { expiresAtMs, purchasedAtMs }]) => purchasedAtMs || expiresAtMs > nowMs)
  }

  #save() {
    store(key, JSON.stringify(Object.fromEntries(this.#deals)))
  }
}

/** The remembered user id, or a new one for a guest. */
export function rememberedUser() {
  try {
    const known = localStorage.getItem(userKey)
    if (known) return known
  } catch {
    // Storage is off.
  }
  return `guest-${Math.random().toString(36).slice(2, 8)}`
}

export function rememberUser(user) {
  store(userKey, user)
}

function store(name, value) {
  try {
    localStorage.setItem(name, value)
  } catch {
    // Storage is off or full: it is a convenience.
  }
}
