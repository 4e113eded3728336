import { textTable } from '../../core/text-table.mjs'
import { obstacleOf } from './command.ts'
import { type FaultName, faultNames } from './faults.ts'
import type { RoundReport } from './round.ts'
import type { Failure } from './series.ts'

/** What a series came to. */
export class Tally {
  readonly #shards: number
  #rounds = 0
  #requests = 0
  #undecided = 0
  #decisions = 0
  #lost = 0
  #breaches = 0
  #failures = 0
  readonly #byKind = new Map<FaultName, { rounds: number; alone: number; breaches: number }>()

  constructor(shards: number) {
    this.#shards = shards
  }

  get isClean(): boolean {
    return this.#breaches + this.#failures === 0
  }

  /** A line on the round, and one on each breach that is shown. */
  round(report: RoundReport): string[] {
    const { seed, requests, undecided, decisions, unseen, breachCount, breaches, lost, tookMs } = report
    this.#rounds += 1
    this.#requests += requests
    this.#undecided += undecided
    this.#decisions += report.decisionsOfRound
    this.#lost += report.lostInRound
    this.#breaches += breachCount
    for (const name of new Set(report.faults)) {
      const of = this.#byKind.get(name) ?? { rounds: 0, alone: 0, breaches: 0 }
      of.rounds += 1
      of.alone += Number(report.faults.length === 1)
      of.breaches += breachCount
      this.#byKind.set(name, of)
    }
    const sale = `sale so far: ${decisions} decisions checked, ${unseen} of them never answered${lost > 0 ? `; ${lost} answers lost, as they may be` : ''}`
    return [
      `seed ${seed} ack ${report.ack}  ${report.faults.join('+')}: ${report.events.join('; ')}. ${requests} requests, ${undecided} left open; ` +
        `${sale}; ${breachCount} breaches; ${(tookMs / 1_000).toFixed(1)} s`,
      ...breaches.map(({ promise, detail }) => `  BREACH ${promise}: ${detail}`),
    ]
  }

  failure({ seed, error, serverLog }: Failure): string[] {
    this.#failures += 1
    return [`seed ${seed}  FAILED: ${error.stack ?? error.message}`, 'the last lines of the server:', serverLog]
  }

  summary(): string[] {
    const rows = [...this.#byKind].map(([name, { rounds, alone, breaches }]) => {
      return [name, String(rounds), String(alone), String(breaches)]
    })
    const impossible = faultNames.flatMap((name) => {
      const obstacle = obstacleOf(name, this.#shards)
      return obstacle === undefined ? [] : [`not run: ${name}: ${obstacle}`]
    })
    return [
      ...textTable(['fault', 'rounds', 'alone', 'breaches'], rows),
      '',
      ...impossible,
      `${this.#rounds} rounds, ${this.#requests} requests of which ${this.#undecided} were left open or turned away, ` +
        `${this.#decisions} decisions checked, ${this.#lost} lost as they may be, ${this.#breaches} breaches, ` +
        `${this.#failures} failures`,
    ]
  }
}
