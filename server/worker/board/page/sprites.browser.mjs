// An item as it looks, drawn once for each state and step of its change, and then only copied: thousands change at once.

import { stateNames } from './format.browser.mjs'

export const frames = 14

/** The page's colours, which follow the light or dark scheme. */
function palette() {
  const style = getComputedStyle(document.documentElement)
  const of = (name) => style.getPropertyValue(`--${name}`).trim()
  return {
    card: of('card'),
    flash: of('flash'),
    butter: of('butter'),
    ink: of('ink'),
    muted: of('muted'),
    available: { fill: of('batter'), rim: of('batter-rim') },
    held: { fill: of('golden'), rim: of('golden-rim') },
    sold: { fill: of('toast'), rim: of('toast-rim') },
    missing: { fill: of('card'), rim: of('missing') },
  }
}

export class Sprites {
  colours = palette()
  #canvas
  #cell

  /** `cell`: side of an item's square in device pixels */
  constructor(cell) {
    this.#cell = cell
    this.#canvas = new OffscreenCanvas(cell * frames, cell * stateNames.length * 2)
    const context = this.#canvas.getContext('2d')
    for (const [row, name] of [...stateNames, ...stateNames].entries()) {
      for (let frame = 0; frame < frames; frame++) {
        context.setTransform(1, 0, 0, 1, frame * cell, row * cell)
        context.beginPath()
        context.rect(0, 0, cell, cell)
        context.save()
        context.clip()
        this.#draw(context, name, frame / (frames - 1), row >= stateNames.length)
        context.restore()
      }
    }
  }

  /** `frame`: from 0, just changed, to `frames` - 1, at rest */
  put(context, { state, frame, isMine, x, y }) {
    const cell = this.#cell
    const row = state + (isMine ? stateNames.length : 0)
    context.fillStyle = this.colours.card
    context.fillRect(x, y, cell, cell)
    context.drawImage(this.#canvas, frame * cell, row * cell, cell, cell, x, y, cell, cell)
  }

  #draw(context, name, progress, isMine) {
    const cell = this.#cell
    const middle = cell / 2
    const { fill, rim } = this.colours[name]
    if (name === 'missing') {
      missing(context, cell, rim)
      if (isMine) pat(context, middle, Math.max(cell * 0.18, 1.6), this.colours)
      return
    }
    const full = cell * (cell > 60 ? 0.44 : cell > 14 ? 0.42 : 0.44)
    const rest = name === 'available' && cell <= 60 ? full * 0.86 : full
    const radius =
      rest * (name === 'available' ? 0.5 + 0.5 * progress : 1 + 0.14 * Math.sin(Math.PI * Math.min(1, progress * 1.3)))
    const width = cell > 10 ? Math.max(1, cell / (name === 'available' ? 14 : 18)) : name === 'available' ? 0.9 : 0
    disc(context, middle, Math.min(radius, middle) - width / 2, fill)
    if (width > 0) {
      context.lineWidth = width
      context.strokeStyle = rim
      context.stroke()
    }
    if (cell > 26 && name !== 'available') shine(context, middle, radius)
    if (isMine) pat(context, middle, Math.max(radius * 0.42, 1.6), this.colours)
    if (progress >= 1) return
    context.globalAlpha = (1 - progress) ** 1.6 * (name === 'available' ? 0.35 : 0.9)
    disc(context, middle, middle * (0.7 + 0.3 * progress), this.colours.flash)
    context.globalAlpha = 1
  }
}

function disc(context, middle, radius, colour) {
  context.beginPath()
  context.arc(middle, middle, Math.max(radius, 0.5), 0, Math.PI * 2)
  context.fillStyle = colour
  context.fill()
}

/** A gap, where the place is small; where it is large enough, a cross in a ring of dashes. */
function missing(context, cell, colour) {
  const middle = cell / 2
  if (cell <= 14) {
    disc(context, middle, Math.max(cell * 0.09, 0.5), colour)
    return
  }
  const half = cell * 0.13
  context.strokeStyle = colour
  context.lineWidth = Math.max(1, cell / 22)
  context.beginPath()
  context.moveTo(middle - half, middle - half)
  context.lineTo(middle + half, middle + half)
  context.moveTo(middle + half, middle - half)
  context.lineTo(middle - half, middle + half)
  context.stroke()
  context.setLineDash([cell / 11, cell / 11])
  context.beginPath()
  context.arc(middle, middle, cell * 0.36, 0, Math.PI * 2)
  context.stroke()
  context.setLineDash([])
}

/** Light from above left on a cake that is large enough to show it. */
function shine(context, middle, radius) {
  const light = context.createRadialGradient(middle - radius * 0.3, middle - radius * 0.4, 0, middle, middle, radius)
  light.addColorStop(0, 'rgb(255 246 220 / .38)')
  light.addColorStop(0.7, 'rgb(255 246 220 / 0)')
  light.addColorStop(1, 'rgb(60 20 0 / .18)')
  disc(context, middle, radius, light)
}

/** Butter: the mark of what is mine. */
function pat(context, middle, half, { butter, ink }) {
  context.save()
  context.translate(middle, middle)
  context.rotate(0.3)
  context.beginPath()
  context.roundRect(-half, -half, half * 2, half * 2, half * 0.35)
  context.fillStyle = butter
  context.fill()
  context.lineWidth = Math.max(0.75, half * 0.18)
  context.strokeStyle = ink
  context.stroke()
  context.restore()
}
