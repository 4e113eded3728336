// Waiting for an item, where all are taken: the first that is free again is picked for its buyer.

import { formatNumber } from './format.browser.mjs'

const title = document.title

export class Waiting extends EventTarget {
  #isOn = false
  /** Place of the item that was found, until it is decided whose it is. */
  #found = -1

  get isOn() {
    return this.#isOn
  }

  toggle() {
    this.#set(!this.#isOn)
  }

  /** Whoever picks something else has made up their mind. */
  picked(place) {
    if (place !== this.#found) this.#found = -1
    document.title = title
  }

  /**
   * @param {{ states: Uint8Array, isMine: (place: number) => boolean, isAsking: boolean, isBusy: boolean }} now
   *   `isAsking`: what is theirs isn't known before an answer; `isBusy`: a hold of theirs is shown
   */
  look({ states, isMine, isAsking, isBusy }) {
    if (isAsking) return
    if (this.#found >= 0 && states[this.#found] !== 0) this.#lose(isMine(this.#found))
    if (!this.#isOn || isBusy) return
    const free = []
    for (const [place, state] of states.entries()) if (state === 0) free.push(place)
    if (free.length === 0) return
    // Not the first one: all who wait would be sent to it together.
    const place = free[Math.floor(Math.random() * free.length)]
    this.#set(false)
    this.#found = place
    this.dispatchEvent(new CustomEvent('found', { detail: place }))
    document.title = `Item ${formatNumber(place + 1)} is free · hotcakes`
  }

  end() {
    this.#found = -1
    document.title = title
    this.#set(false)
  }

  #lose(isMine) {
    const place = this.#found
    this.#found = -1
    document.title = title
    if (isMine) return
    this.#set(true)
    this.dispatchEvent(new CustomEvent('lost', { detail: place }))
  }

  #set(isOn) {
    if (this.#isOn === isOn) return
    this.#isOn = isOn
    this.dispatchEvent(new Event('change'))
  }
}
