// All items of the sale on one canvas, with the semantics of a grid beside it: the item that the keyboard is at exists as
// a gridcell, which is also the ring that is drawn around it.

import { formatNumber, stateWords } from './format.browser.mjs'
import { Loupe } from './loupe.browser.mjs'
import { frames, Sprites } from './sprites.browser.mjs'

const cellMin = 5
const cellMax = 64
const numberCellMin = 30
const changeMs = 620
/** Changes come together, up to four times a second; spread over that time they look like what they are, one after the other. */
const spreadMsMax = 900

export class Grid extends EventTarget {
  #element
  #canvas
  #context
  #cells
  #states = new Uint8Array(0)
  #isMine = () => false
  #shown = 0
  #columns = 1
  #cell = 8
  #scale = 1
  #at = 0
  #picked = -1
  #turn = 0
  /** Place -> when its change begins to show. */
  #changing = new Map()
  #changedMs = 0
  #isDrawing = false
  #sprites
  /** Place under the loupe, -1 for none. */
  #looked = -1
  #loupe
  #calm = matchMedia('(prefers-reduced-motion: reduce)')

  constructor(/** @type {HTMLElement} */ element, isMine) {
    super()
    this.#element = element
    this.#isMine = isMine
    this.#canvas = element.querySelector('canvas')
    this.#context = this.#canvas.getContext('2d')
    this.#cells = [...element.querySelectorAll('[role="gridcell"]')]
    this.#loupe = new Loupe(element)
    new ResizeObserver(() => this.#layOut()).observe(element)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#layOut())
    element.addEventListener('click', (event) => this.#pickNear(event))
    element.addEventListener('pointermove', (event) => this.#point(event))
    element.addEventListener('keydown', (event) => this.#key(event))
    element.addEventListener('pointerleave', () => this.#look(-1))
    element.addEventListener('blur', () => this.#look(-1))
    element.addEventListener('focus', () => this.#moveTo(this.#at))
  }

  show(states) {
    const isOther = states.length !== this.#states.length
    this.#states = states
    this.#shown = states.length
    this.#changing.clear()
    if (isOther) {
      this.#at = 0
      this.pick(-1)
    }
    this.#layOut()
  }

  change(places) {
    const startMs = performance.now()
    const spread = this.#calm.matches ? 0 : Math.min(spreadMsMax, startMs - this.#changedMs)
    this.#changedMs = startMs
    for (const place of places) this.#changing.set(place, startMs + Math.random() * spread)
    if (places.includes(this.#at)) this.#describe()
    if (places.includes(this.#looked)) this.#look(this.#looked)
    if (!this.#isDrawing) this.#draw()
  }

  /** Marks a place as picked, -1 for none. */
  pick(place) {
    this.#picked = place
    if (place >= 0 && place < this.#shown) this.#moveTo(place)
    else for (const cell of this.#cells) cell.classList.remove('picked')
  }

  #layOut() {
    const width = this.#element.clientWidth
    if (width === 0 || this.#shown === 0) return
    const room = Math.max(320, innerHeight - this.#element.getBoundingClientRect().top - scrollY - 48)
    this.#scale = devicePixelRatio
    const fitting = Math.sqrt((width * room) / this.#shown)
    const wanted = Math.min(cellMax, Math.max(cellMin, fitting))
    const columns = Math.max(1, Math.min(this.#shown, Math.ceil(width / wanted)))
    const cell = Math.max(1, Math.min(Math.floor((width * this.#scale) / columns), Math.round(cellMax * this.#scale)))
    this.#columns = Math.max(1, Math.min(this.#shown, Math.floor((width * this.#scale) / cell)))
    this.#cell = cell / this.#scale
    const rows = Math.ceil(this.#shown / this.#columns)
    this.#canvas.width = this.#columns * cell
    this.#canvas.style.width = `${this.#columns * this.#cell}px`
    this.#canvas.height = rows * cell
    this.#canvas.style.height = `${rows * this.#cell}px`
    this.#element.setAttribute('aria-rowcount', rows)
    this.#element.setAttribute('aria-colcount', this.#columns)
    this.#sprites = new Sprites(cell)
    this.redraw()
    this.#look(-1)
    this.#moveTo(Math.min(this.#at, this.#shown - 1))
  }

  redraw() {
    if (this.#sprites === undefined) return
    for (let place = 0; place < this.#shown; place++) this.#put(place, frames - 1)
  }

  #put(place, frame) {
    const cell = Math.round(this.#cell * this.#scale)
    const x = (place % this.#columns) * cell
    const y = Math.floor(place / this.#columns) * cell
    const state = this.#states[place]
    this.#sprites.put(this.#context, { state, frame, isMine: this.#isMine(place), x, y })
    if (this.#cell >= numberCellMin) this.#number(place, x + cell / 2, y + cell / 2)
  }

  #number(place, x, y) {
    const { ink, muted } = this.#sprites.colours
    if (this.#isMine(place)) return
    this.#context.fillStyle =
      this.#states[place] === 2 ? '#ffe9cf' : this.#states[place] === 1 ? '#3a1d05' : muted || ink
    this.#context.font = `600 ${Math.round(this.#cell * this.#scale * 0.26)}px Figtree, system-ui, sans-serif`
    this.#context.textAlign = 'center'
    this.#context.textBaseline = 'middle'
    this.#context.fillText(String(place + 1), x, y)
  }

  #draw = () => {
    const nowMs = performance.now()
    const isCalm = this.#calm.matches
    for (const [place, startMs] of this.#changing) {
      const progress = isCalm ? 1 : (nowMs - startMs) / changeMs
      if (progress < 0) continue
      this.#put(place, Math.min(frames - 1, Math.floor(progress * frames)))
      if (progress >= 1) this.#changing.delete(place)
    }
    this.#isDrawing = this.#changing.size > 0
    if (this.#isDrawing) requestAnimationFrame(this.#draw)
  }

  #placeAt({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect()
    const column = Math.floor((clientX - box.left) / this.#cell)
    const row = Math.floor((clientY - box.top) / this.#cell)
    const place = row * this.#columns + Math.min(Math.max(column, 0), this.#columns - 1)
    return row >= 0 && place < this.#shown ? place : -1
  }

  /** A finger covers many items where they are small: then it means the available one next to it. */
  #pickNear(event) {
    const place = this.#placeAt(event)
    if (place < 0) return
    const isCoarse = event.pointerType === 'touch' && this.#cell < 20 && !this.#isMine(place)
    this.#choose(isCoarse ? this.#availableNear(place) : place)
  }

  #availableNear(place) {
    const reach = Math.ceil(22 / this.#cell)
    let best = place
    let bestDistance = this.#states[place] === 0 ? 0 : Number.POSITIVE_INFINITY
    for (let down = -reach; down <= reach; down++) {
      for (let right = -reach; right <= reach; right++) {
        const column = (place % this.#columns) + right
        const near = place + down * this.#columns + right
        const distance = down * down + right * right
        if (column < 0 || column >= this.#columns || this.#states[near] !== 0 || near >= this.#shown) continue
        if (distance < bestDistance) [best, bestDistance] = [near, distance]
      }
    }
    return best
  }

  #choose(place) {
    this.pick(place)
    this.dispatchEvent(new CustomEvent('pick', { detail: place }))
  }

  #point(event) {
    if (event.pointerType === 'mouse') this.#look(this.#placeAt(event))
  }

  /** Says which item that is, where it is; -1 for none. */
  #look(place) {
    this.#looked = place
    if (place < 0) {
      this.#loupe.hide()
      return
    }
    const x = this.#canvas.offsetLeft + ((place % this.#columns) + 0.5) * this.#cell
    const y = (Math.floor(place / this.#columns) + 0.5) * this.#cell
    const state = this.#states[place]
    const text = `Item ${formatNumber(place + 1)}, ${this.#isMine(place) ? 'yours' : stateWords[state]}`
    this.#loupe.show({ x, y, side: this.#cell }, { text, state })
  }

  #key(event) {
    const column = this.#at % this.#columns
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.#columns,
      ArrowDown: this.#columns,
      PageUp: -10 * this.#columns,
      PageDown: 10 * this.#columns,
      Home: event.ctrlKey ? -this.#at : -column,
      End: event.ctrlKey ? this.#shown : this.#columns - 1 - column,
    }
    const step = steps[event.key]
    if (event.key === 'Enter' || event.key === ' ') this.#choose(this.#at)
    else if (event.key === 'Escape') this.#look(-1)
    else if (step === undefined || event.altKey || event.metaKey) return
    else this.#moveTo(Math.min(this.#shown - 1, Math.max(0, this.#at + step)))
    event.preventDefault()
  }

  /** Two cells in turn: a screen reader says what is new when the active one is another element. */
  #moveTo(place) {
    if (place < 0) return
    this.#at = place
    this.#turn = 1 - this.#turn
    for (const [turn, cell] of this.#cells.entries()) {
      cell.classList.toggle('at', turn === this.#turn)
      cell.classList.toggle('picked', turn === this.#turn && place === this.#picked)
    }
    const side = Math.max(this.#cell + 5, 15)
    const x = this.#canvas.offsetLeft + ((place % this.#columns) + 0.5) * this.#cell - side / 2
    const y = (Math.floor(place / this.#columns) + 0.5) * this.#cell - side / 2
    const cell = this.#cells[this.#turn]
    Object.assign(cell.style, { width: `${side}px`, height: `${side}px`, transform: `translate(${x}px, ${y}px)` })
    cell.parentElement.setAttribute('aria-rowindex', Math.floor(place / this.#columns) + 1)
    cell.setAttribute('aria-colindex', (place % this.#columns) + 1)
    this.#element.setAttribute('aria-activedescendant', cell.id)
    this.#describe()
    if (document.activeElement === this.#element) {
      cell.scrollIntoView({ block: 'nearest', behavior: this.#calm.matches ? 'auto' : 'smooth' })
      this.#look(place)
    }
  }

  #describe() {
    const cell = this.#cells[this.#turn]
    cell.textContent = `Item ${this.#at + 1}, ${this.#isMine(this.#at) ? 'yours, ' : ''}${stateWords[this.#states[this.#at]] ?? ''}`
    cell.setAttribute('aria-selected', String(this.#at === this.#picked))
  }
}
