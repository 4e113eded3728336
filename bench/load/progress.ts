import { formatCount } from '../report/format.ts'
import { answered, sum, unanswered } from '../report/tally.ts'
import type { Second } from './generator-process.ts'
import type { Settings } from './settings.ts'

/** Off a terminal, a line every so many seconds. */
const sparseSeconds = 10

interface Line {
  reports: number
  answered: number
  good: number
  failed: number
}

/** A line a second on a terminal, which the next one replaces; sparse lines elsewhere. */
export class Progress {
  readonly #settings: Settings
  readonly #title: string
  readonly #out: NodeJS.WriteStream
  readonly #lines = new Map<number, Line>()
  /** Those up to this one have had their line. */
  #shown = Number.NEGATIVE_INFINITY
  #failed = 0
  #isOnLine = false

  constructor(title: string, settings: Settings, out: NodeJS.WriteStream = process.stderr) {
    this.#title = title
    this.#settings = settings
    this.#out = out
  }

  /** Something that replaces the line there is, and is replaced itself. */
  say(text: string): void {
    if (this.#out.isTTY) {
      this.#out.write(`\r\u001b[2K${this.#title}: ${text}`)
      this.#isOnLine = true
    } else this.#out.write(`${this.#title}: ${text}\n`)
  }

  add({ second, tally }: Pick<Second, 'second' | 'tally'>): void {
    if (second === 'tail') return
    if (second <= this.#shown) {
      this.#failed += sum(tally.failed) + unanswered(tally)
      return
    }
    const line = this.#lines.get(second) ?? { reports: 0, answered: 0, good: 0, failed: 0 }
    const failed = sum(tally.failed) + unanswered(tally)
    line.reports += 1
    line.answered += answered(tally)
    line.good += tally.holds + tally.purchases
    line.failed += failed
    this.#failed += failed
    this.#lines.set(second, line)
    if (line.reports < this.#settings.generators) return
    this.#lines.delete(second)
    this.#shown = second
    if (this.#out.isTTY || (second >= 0 && (second + 1) % sparseSeconds === 0)) this.#show(second, line)
  }

  /** Leaves the line: what follows begins on one of its own. */
  end(): void {
    if (this.#isOnLine) this.#out.write('\r\u001b[2K')
    this.#isOnLine = false
  }

  #show(second: number, line: Line): void {
    const { seconds } = this.#settings
    const when = second < 0 ? `warm-up, ${-second} s left` : `${second + 1}/${seconds} s`
    this.say(
      `${when}  ${formatCount(line.answered)} req/s  goodput ${formatCount(line.good)}/s  errors ${formatCount(this.#failed)}`,
    )
  }
}
