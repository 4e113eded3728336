// The sale as the server tells it: see BoardFeed for the messages. Comes back by itself when the connection is lost.

import { stateNames } from './format.browser.mjs'
import { Polls } from './polls.browser.mjs'

const staleMs = 3_000 // the server says something every second
const polledStaleMs = 12_000 // a poll and a half, and what it may take
const missesMax = 2 // connections in a row that brought nothing: then something on the way blocks them
const deadMs = 10_000 // an open connection that brings nothing for so long is given up
const firstMs = 3_000 // whoever has nothing to show yet asks in the other way as well after so long
const openState = 1 // WebSocket.OPEN, also where there are no WebSockets
const driftMs = 2 // a message
const missingState = stateNames.indexOf('missing')
const retryMsMin = 400
const retryMsMax = 8_000

/** @typedef {{ sale: number, opensAtMs: number, closesAtMs: number, items: number, userLimit: number, holdMs: number, shards: number }} Terms */

export class Feed extends EventTarget {
  /** @type {Terms | undefined} */
  terms
  /** State of each item that is shown, which are the first ones: the place of its name in `stateNames`. */
  states = new Uint8Array(0)
  /** The numbers of the last message. */
  moment = { now: 0, held: 0, sold: 0, holdsPerSecond: 0, purchasesPerSecond: 0, holdEndsAt: undefined }
  /** Items whose state can't be known at the moment; they are in none of the counts. */
  missing = 0
  /** ms since the sale opened and items sold, in turn. */
  curve = []
  /** @type {'connecting' | 'live' | 'polling' | 'stale'} */
  link = 'connecting'
  /** Shards of the sale that can't be asked. @type {number[]} */
  #missingShards = []
  #offsetMs = 0
  #heardMs = performance.now()
  #retryMs = retryMsMin
  /** @type {WebSocket | undefined} */
  #socket
  #socketHeardMs = 0
  #misses = 0
  #retry
  #polls = new Polls((state) => this.#take(state, true))

  start() {
    this.#connect()
    setInterval(() => this.#look(), 500)
    addEventListener('online', () => this.#again(0))
    document.addEventListener(
      'visibilitychange',
      () => document.hidden || this.link === 'live' || this.link === 'polling' || this.#again(0),
    )
  }

  /** The server's time, ms of the Unix epoch; this machine's clock does not matter. */
  now() {
    return performance.now() + this.#offsetMs
  }

  /** Items that can be had; without those that can't be asked. */
  get available() {
    return this.terms === undefined ? 0 : this.terms.items - this.moment.held - this.moment.sold - this.missing
  }

  /** Seconds since the last message. */
  get silence() {
    return (performance.now() - this.#heardMs) / 1_000
  }

  /** Whether the item at that place can't be decided on at the moment. */
  isMissing(place) {
    return this.#missingShards.length > 0 && this.#missingShards.includes(place % this.terms.shards)
  }

  #connect() {
    clearTimeout(this.#retry)
    let socket
    try {
      socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/board/feed`)
    } catch {
      this.#lost() // the browser has none, or somebody has forbidden it
      return
    }
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('message', ({ data }) => socket === this.#socket && this.#take(data))
    socket.addEventListener('close', () => socket === this.#socket && this.#lost())
    this.#socket = socket
    this.#socketHeardMs = performance.now()
  }

  #lost() {
    this.#miss()
    if (this.link === 'live') this.#set('stale')
    this.#again(this.#retryMs * (0.5 + Math.random())) // the pages that lost the same server don't return at once
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax)
  }

  #again(ms) {
    if (this.#socket?.readyState <= openState && ms === 0 && this.link === 'live') return
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      const old = this.#socket
      this.#socket = undefined
      old?.close()
      this.#connect()
    }, ms)
  }

  #look() {
    const nowMs = performance.now()
    const patienceMs = { live: staleMs, polling: polledStaleMs }[this.link] ?? Number.POSITIVE_INFINITY
    if (nowMs - this.#heardMs > patienceMs) this.#set('stale')
    if (this.terms === undefined && nowMs - this.#heardMs > firstMs) this.#polls.start()
    if (nowMs - this.#socketHeardMs > deadMs && this.#socket?.readyState <= openState) {
      this.#socketHeardMs = nowMs
      this.#miss()
      this.#again(this.link === 'polling' ? this.#retryMs : 0)
    }
  }

  /** A connection has brought nothing, or nothing more. Plain requests get through where an upgrade is blocked. */
  #miss() {
    this.#misses += 1
    if (this.#misses >= missesMax) this.#polls.start()
  }

  #set(link) {
    if (this.link === link) return
    this.link = link
    this.dispatchEvent(new Event('link'))
  }

  #take(/** @type {ArrayBuffer} */ data, isPolled = false) {
    if (!isPolled) this.#heardSocket()
    const headLength = new DataView(data).getUint32(0, true)
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, headLength)))
    const payload = new Uint8Array(data, 4 + headLength)
    this.#heardMs = performance.now()
    // A message that was long on its way makes the clock late, so the quickest counts; less and less, for clocks drift.
    const offsetMs = head.now - this.#heardMs
    const isFirst = head.type === 'state' && !isPolled
    this.#offsetMs = isFirst || this.terms === undefined ? offsetMs : Math.max(offsetMs, this.#offsetMs - driftMs)
    const { now, held, sold, holdsPerSecond, purchasesPerSecond, holdEndsAt } = head
    this.moment = { now, held, sold, holdsPerSecond, purchasesPerSecond, holdEndsAt }
    if (head.type === 'state') this.#takeState(head, payload, isPolled)
    else {
      const changed = applied(payload, this.states)
      if (sold > (this.curve.at(-1) ?? 0)) this.#extend(now - this.terms.opensAtMs, sold)
      if (changed.length > 0) this.dispatchEvent(new CustomEvent('changes', { detail: changed }))
    }
    const wasStale = this.link === 'stale'
    if (isPolled) this.#set('polling')
    else if (this.link !== 'live') this.#set('live')
    this.dispatchEvent(new Event('moment'))
    if (isPolled && wasStale) this.#again(0) // the server is back, and the connection may be as well
  }

  #heardSocket() {
    this.#socketHeardMs = performance.now()
    this.#misses = 0
    this.#retryMs = retryMsMin
    this.#polls.stop()
  }

  #takeState({ terms, curve, missingShards = [] }, payload, isPolled) {
    const isNew = this.terms?.sale !== terms.sale
    const before = this.states
    const isSame = !isNew && before.length > 0 && missingShards.join() === this.#missingShards.join()
    this.terms = terms
    this.curve = curve
    this.states = unpacked(payload, terms.items)
    this.#missingShards = missingShards
    for (const place of this.states.keys()) if (this.isMissing(place)) this.states[place] = missingState
    this.missing = missingShards.reduce((sum, shard) => sum + Math.ceil((terms.items - shard) / terms.shards), 0)
    if (isPolled && isSame) {
      const changed = [...this.states.keys()].filter((place) => this.states[place] !== before[place])
      this.dispatchEvent(new CustomEvent('changes', { detail: changed }))
    } else this.dispatchEvent(new CustomEvent('state', { detail: { isNew } }))
  }

  #extend(ms, sold) {
    this.curve.push(ms, sold)
    if (this.curve.length > 1_024) this.curve = this.curve.filter((_, at, all) => at % 4 < 2 || at >= all.length - 2)
  }
}

function unpacked(payload, items) {
  const states = new Uint8Array(Math.min(items, payload.length * 4))
  for (let at = 0; at < states.length; at++) states[at] = (payload[at >> 2] >> ((at & 3) * 2)) & 3
  return states
}

/** Puts the changes into the states; returns the places that changed. */
function applied(payload, states) {
  const changed = []
  let at = -1
  let value = 0
  let shift = 0
  for (const byte of payload) {
    value |= (byte & 127) << shift
    shift += 7
    if (byte > 127) continue
    at += value >> 2
    states[at] = value & 3
    changed.push(at)
    value = shift = 0
  }
  return changed
}
