import { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { drawMixed, drawNoise, drawPoisoned, drawRefused } from './hostile.ts'
import { type Drawn, drawWellFormed } from './well-formed.ts'

/** What one client does once: it depends on the seed, the number and the sale alone. */
export interface Attempt extends Drawn {
  readonly number: number
  /** Of the text, in the pieces in which they are written. */
  readonly pieces: readonly Buffer[]
  /** The client is gone as soon as they are written, or some of them. */
  readonly leaves: boolean
  /** On the connection of the attempt before, if that one is still good. */
  readonly staysOn: boolean
}

const tokens = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  '/',
  '?',
  '&',
  '=',
  '%',
  '%00',
  '\xff',
  'HTTP/1.1',
  '9999999999',
]
const piecesMax = 6

export function drawAttempt(seed: number, number: number, sale: number): Attempt {
  const random = new SeededRandom(seed ^ Math.imul(number + 1, 0x9e3779b1))
  const plain = drawPlain(random, sale)
  const drawn = random.chance(0.25) ? mutated(random, plain) : plain
  const leaves = random.chance(0.08)
  const bytes = Buffer.from(drawn.text, 'latin1')
  const sent = leaves ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes
  const uncut = drawn.expects === 'answer' ? drawn.text.indexOf('\r\n') + 2 : 0
  return { ...drawn, number, pieces: cut(random, sent, uncut), leaves, staysOn: random.chance(0.8) }
}

function drawPlain(random: SeededRandom, sale: number): Drawn {
  const share = random.next()
  if (share < 0.45) return drawWellFormed(random, sale)
  if (share < 0.7) return drawPoisoned(random, sale)
  if (share < 0.9) return drawRefused(random)
  if (share < 0.97) return drawMixed(random)
  return drawNoise(random)
}

function mutated(random: SeededRandom, { kind, text }: Drawn): Drawn {
  let damaged = text
  for (let left = random.between(1, 6); left > 0; left--) damaged = damage(random, damaged)
  return { kind: `mutated: ${kind}`, text: damaged, expects: 'anything', statuses: [] }
}

/** One place of it is overwritten, left out, filled in, or repeated. */
function damage(random: SeededRandom, text: string): string {
  // Mostly near its beginning: that is where requests are interesting, and some have a long tail of padding.
  const at = random.below(Math.min(text.length, random.chance(0.9) ? 300 : 60_000) + 1)
  const [before, after] = [text.slice(0, at), text.slice(at)]
  const length = random.between(1, 8)
  switch (random.below(4)) {
    case 0:
      return before + String.fromCharCode(random.below(256)) + after.slice(1)
    case 1:
      return before + after.slice(length)
    case 2:
      return before + random.pick(tokens) + after
    default:
      return before + after.slice(0, length * 4) + after
  }
}

/**
 * @param uncut bytes that stay in one piece: uWebSockets.js answers 505 when the part of a request that has come so far ends
 * within the version, or right after the method
 */
function cut(random: SeededRandom, bytes: Buffer, uncut: number): Buffer[] {
  if (random.chance(0.6) || bytes.length <= uncut) return [bytes]
  const places = Array.from({ length: random.between(1, piecesMax - 1) }, () => random.between(uncut, bytes.length))
  const ends = [...places.toSorted((a, b) => a - b), bytes.length]
  return ends.map((end, n) => bytes.subarray(ends[n - 1] ?? 0, end))
}
