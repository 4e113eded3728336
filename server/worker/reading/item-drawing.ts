import { type ItemLook, itemLook, lookPlace } from './item-look.ts'

/*
 * The picture of a hotcake, as SVG of 256 by 256: a stack on a plate, with what is poured and laid on it. Every length is
 * rounded, so that all machines write the same bytes.
 */

const middle = 128
/** Where the stack stands on the plate. */
const ground = 202
const outline = '#3a2417'
const papers = ['#fbeccb', '#f8e3bd', '#f6dfc6', '#faf0d9', '#f3e2c2', '#f9e6cf', '#f5e4b9', '#f2e0cc'] as const

/** Numbers below 1, the same ones for the same item. */
type Random = () => number

/** Drawn from the numbers in the item's id alone. */
export function drawItem(sale: number, index: number): string {
  const look = itemLook(sale, index)
  const random = randomFrom(lookPlace(sale, index))
  const paper = papers[Math.floor(random() * papers.length)] ?? papers[0]
  const { kind, batter } = look
  const top = ground - kind.count * kind.height
  const parts = [
    `<rect width="256" height="256" fill="${paper}"/>`,
    steam(top, random),
    plate(),
    ...Array.from({ length: kind.count }, (_, level) => cake(look, level, random)),
    face(look, top),
    pour(look, top, random),
    ...laidOn(look, top, random),
    butter(look, top, random),
  ]
  const stroke = `stroke="${outline}" stroke-width="2.5" stroke-linejoin="round" stroke-linecap="round"`
  const title = `<title>A stack of ${batter.word} ${kind.word}s</title>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">${title}<g ${stroke}>${parts.join('')}</g></svg>`
}

/** xorshift: bits of a whole number, which every machine computes alike. */
function randomFrom(seed: number): Random {
  let state = (seed * 2 + 1) >>> 0
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  for (let turn = 0; turn < 8; turn++) next() // seeds that are near each other begin alike
  return next
}

const at = (value: number): string => String(Math.round(value * 10) / 10)
const between = (random: Random, least: number, most: number): number => least + random() * (most - least)

function plate(): string {
  return (
    `<ellipse cx="128" cy="214" rx="112" ry="24" fill="${outline}" stroke="none" opacity=".16"/>` +
    '<ellipse cx="128" cy="206" rx="108" ry="24" fill="#fffaf0"/><ellipse cx="128" cy="203" rx="84" ry="16" fill="#efdfc2" stroke="none"/>'
  )
}

function steam(top: number, random: Random): string {
  if (top < 84) return ''
  const wisp = (x: number): string => {
    const height = between(random, 22, 34)
    return `<path d="M${at(x)} ${at(top - 36)}c-9 ${at(-height / 3)} 9 ${at((-height * 2) / 3)} 0 ${at(-height)}" fill="none" stroke="#b98f5c" stroke-width="4" opacity=".35"/>`
  }
  return [-30, 2, 34].map((x) => wisp(middle + x + between(random, -6, 6))).join('')
}

/** The edge of one of the stack, from the bottom up. */
function cake({ kind, batter }: ItemLook, level: number, random: Random): string {
  const { width, height } = kind
  const half = width / 2 + between(random, -5, 5)
  const x = middle + (level === kind.count - 1 ? 0 : between(random, -4, 4))
  const y = ground - (level + 1) * height
  const depth = half * 0.2
  const side = `M${at(x - half)} ${at(y)}v${at(height * 0.75)}a${at(half)} ${at(depth)} 0 0 0 ${at(half * 2)} 0v${at(-height * 0.75)}z`
  const brown = `M${at(x - half)} ${at(y + height * 0.62)}v${at(height * 0.13)}a${at(half)} ${at(depth)} 0 0 0 ${at(half * 2)} 0v${at(-height * 0.13)}a${at(half)} ${at(depth)} 0 0 1 ${at(-half * 2)} 0z`
  return `<path d="${side}" fill="${batter.edge}"/><path d="${brown}" fill="${batter.face}" stroke="none"/><ellipse cx="${at(x)}" cy="${at(y)}" rx="${at(half)}" ry="${at(depth)}" fill="${batter.face}"/>`
}

/** The paler rim of the one on top. */
function face({ kind, batter }: ItemLook, top: number): string {
  const half = kind.width / 2
  return `<ellipse cx="128" cy="${at(top)}" rx="${at(half * 0.9)}" ry="${at(half * 0.16)}" fill="none" stroke="${batter.edge}" stroke-width="3" opacity=".55"/>`
}

/** It lies on the top and runs down the front in a few tongues. */
function pour({ kind, syrup }: ItemLook, top: number, random: Random): string {
  const half = kind.width / 2
  const tongues = 3 + Math.floor(random() * 3)
  const reach = half * 0.78
  const step = (reach * 2) / tongues
  const fall = kind.count * kind.height
  let path = `M${at(middle - reach)} ${at(top)}`
  for (let tongue = 0; tongue < tongues; tongue++) {
    const down = top + half * 0.14 + between(random, 0.14, 0.6) * fall
    const from = middle - reach + tongue * step
    // Between two of them the edge comes up again, to where the front of the pool is.
    const edge = top + half * 0.11 * Math.sqrt(1 - (2 * ((tongue + 1) / tongues) - 1) ** 2)
    const to = from + step
    path += `C${at(from + step * 0.04)} ${at(down)} ${at(from + step * 0.66)} ${at(down)} ${at(from + step * 0.74)} ${at(edge + 5)}Q${at(to - step * 0.14)} ${at(edge)} ${at(to)} ${at(edge)}`
  }
  path += `a${at(reach)} ${at(half * 0.15)} 0 0 0 ${at(-reach * 2)} 0z`
  const shineY = at(top - half * 0.03)
  const shine = `<path d="M${at(middle - reach * 0.6)} ${shineY}q${at(reach * 0.3)} ${at(-half * 0.09)} ${at(reach * 0.7)} ${at(-half * 0.08)}" fill="none" stroke="#fff6dc" stroke-width="4" opacity=".5"/>`
  return `<path d="${path}" fill="${syrup.colour}" fill-opacity=".93"/>${shine}`
}

/** From the back to the front, so that the nearer ones cover the others; some have rolled down onto the plate. */
function laidOn({ kind, topping }: ItemLook, top: number, random: Random): string[] {
  const half = kind.width / 2
  const places = Array.from({ length: topping.count }, (_, n) => {
    const isOnPlate = n % 4 === 3
    const turn = (n / topping.count) * Math.PI * 2 + between(random, -0.3, 0.3)
    const away = between(random, 0.28, 0.56)
    if (isOnPlate) {
      const left = Math.floor(n / 4) % 2 === 0 ? -1 : 1
      return { x: middle + left * between(random, half + 4, 98), y: between(random, 198, 210) }
    }
    return { x: middle + Math.cos(turn) * half * away, y: top - 5 + Math.sin(turn) * half * 0.16 * (away / 0.56) }
  })
  return places.toSorted((a, b) => a.y - b.y).map((place) => drawn[topping.shape](place, topping, random))
}

interface Place {
  readonly x: number
  readonly y: number
}

type Colours = Pick<ItemLook['topping'], 'colour' | 'shade'>

const drawn: Readonly<
  Record<ItemLook['topping']['shape'], (place: Place, colours: Colours, random: Random) => string>
> = {
  berry: ({ x, y }, { colour, shade }, random) => {
    const radius = between(random, 8.5, 10.5)
    return (
      `<circle cx="${at(x)}" cy="${at(y - 3)}" r="${at(radius)}" fill="${colour}"/>` +
      `<circle cx="${at(x)}" cy="${at(y - 6)}" r="${at(radius * 0.34)}" fill="${shade}" stroke="none"/>` +
      `<circle cx="${at(x - radius * 0.4)}" cy="${at(y - 3 - radius * 0.35)}" r="1.8" fill="#fff6dc" stroke="none" opacity=".8"/>`
    )
  },
  half: ({ x, y }, { colour, shade }, random) => {
    const lean = Math.round(between(random, -24, 24))
    return `<g transform="translate(${at(x)} ${at(y - 6)}) rotate(${lean})"><path d="M0 14c-9-5-14-14-11-21 3-5 8-4 11-2 3-2 8-3 11 2 3 7-2 16-11 21z" fill="${colour}"/><path d="M0 7c-4-3-6-7-4.5-10 1.5-2 3-1.5 4.5-.5 1.5-1 3-1.5 4.5.5 1.5 3-.5 7-4.5 10z" fill="${shade}" stroke="none"/></g>`
  },
  slice: ({ x, y }, { colour, shade }, random) => {
    const lean = Math.round(between(random, -14, 14))
    const spokes = [0, 60, 120]
      .map((turn) => `<path d="M-10 0h20" stroke="${shade}" stroke-width="1.5" transform="rotate(${turn})"/>`)
      .join('')
    return `<g transform="translate(${at(x)} ${at(y - 4)}) rotate(${lean}) scale(1 .62)"><circle r="15" fill="${colour}"/><circle r="11" fill="none" stroke="${shade}" stroke-width="2"/>${spokes}</g>`
  },
  crumb: ({ x, y }, { colour, shade }, random) => {
    const lean = Math.round(between(random, 0, 180))
    return `<g transform="translate(${at(x)} ${at(y - 2)}) rotate(${lean})"><ellipse rx="8.5" ry="5.5" fill="${colour}"/><path d="M-5 0q5-2.5 10 0" fill="none" stroke="${shade}" stroke-width="1.8"/></g>`
  },
  leaf: ({ x, y }, { colour, shade }, random) => {
    const lean = Math.round(between(random, -70, 70))
    return `<g transform="translate(${at(x)} ${at(y - 2)}) rotate(${lean})"><path d="M0 8c-9-6-9-18 0-26 9 8 9 20 0 26z" fill="${colour}"/><path d="M0 5v-18" fill="none" stroke="${shade}" stroke-width="1.8"/></g>`
  },
}

/** On most of them: not where the butter has melted already. */
function butter({ syrup }: ItemLook, top: number, random: Random): string {
  if (syrup.word === 'Butter' || random() < 0.25) return ''
  const lean = Math.round(between(random, -12, 12))
  return `<g transform="translate(128 ${at(top - 12)}) rotate(${lean})"><path d="M-19 2l17-9 21 6-17 10z" fill="#fff0b8"/><path d="M-19 2v7l21 8v-8zM2 9v8l17-10v-8z" fill="#f4d67c"/></g>`
}
