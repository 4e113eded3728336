// Which item is under the pointer, or at the keyboard: a label and a ring, because the items may be a few pixels wide.

import { stateNames } from './format.browser.mjs'

const gap = 10

export class Loupe {
  #grid
  #label
  #ring

  constructor(/** @type {HTMLElement} */ grid) {
    this.#grid = grid
    this.#label = grid.querySelector('.loupe')
    this.#ring = grid.querySelector('.over')
  }

  /** `x`, `y`: the middle of the item's square, in the grid; `side`: of the square */
  show({ x, y, side }, { text, state }) {
    const label = this.#label
    label.hidden = false
    label.dataset.state = stateNames[state]
    label.querySelector('span').textContent = text
    const { offsetWidth: width, offsetHeight: height } = label
    const left = Math.min(Math.max(x - width / 2, 0), this.#grid.clientWidth - width)
    const above = y - side / 2 - gap - height
    const isCut = this.#grid.getBoundingClientRect().top + above < 0
    label.style.transform = `translate(${Math.round(left)}px, ${Math.round(isCut ? y + side / 2 + gap : above)}px)`
    const ring = Math.max(side + 4, 12)
    Object.assign(this.#ring.style, {
      width: `${ring}px`,
      height: `${ring}px`,
      transform: `translate(${x - ring / 2}px, ${y - ring / 2}px)`,
      opacity: 1,
    })
  }

  hide() {
    this.#label.hidden = true
    this.#ring.style.opacity = 0
  }
}
