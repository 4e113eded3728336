import type { FromChild, RecordDaysCheck, ToChild, WorkerHealth } from '../../core/ipc.ts'
import { healthGatherMsMax, healthRoundIntervalMs } from '../../core/limits.ts'
import { startTimeLimit } from '../../core/time-limit.ts'

/** What of an HTTP worker is needed here. */
export interface AskedWorker {
  /** The kernel may give it connections. */
  readonly isAccepting: boolean
  send(message: ToChild): void
}

export interface HealthRoundsOptions {
  /** The HTTP workers that can be asked, but for those that leave. */
  readonly workers: () => readonly AskedWorker[]
  /** How many there should be. */
  readonly wanted: () => number
  readonly recordDays?: () => RecordDaysCheck | undefined
  /** A monotonic clock, in ms. */
  readonly now: () => number
}

interface Probe {
  readonly worker: AskedWorker
  readonly id: number
}

interface Round {
  readonly id: number
  readonly probes: readonly Probe[]
  /** null: it took no connections yet when it said how it is. undefined: it has not said yet. */
  readonly asked: Map<AskedWorker, WorkerHealth | null | undefined>
  readonly endLimit: () => void
}

/**
 * In the primary: asks all HTTP workers how they are when a probe wants to know. A round begins after the probes that it
 * answers, so what a worker says in it was true at a moment after the probe came in; what was said before proves nothing.
 * All probes that come while a round runs share the next one, and rounds are bounded in number and length.
 */
export class HealthRounds {
  readonly #options: HealthRoundsOptions
  #probes: Probe[] = []
  #round: Round | undefined
  #rounds = 0
  #beganMs = Number.NEGATIVE_INFINITY
  #pause: NodeJS.Timeout | undefined

  constructor(options: HealthRoundsOptions) {
    this.#options = options
  }

  heard(worker: AskedWorker, message: FromChild & { readonly type: 'probe' | 'health' }): void {
    if (message.type === 'probe') {
      this.#probes.push({ worker, id: message.id })
      this.#beginSoon()
    } else if (message.id === this.#round?.id && this.#round.asked.has(worker)) {
      // One that starts says how it is, and that it accepts only then: that it is not ready is no word on what it accepts.
      this.#round.asked.set(worker, worker.isAccepting ? message.health : null)
      this.#endIfAllSaid()
    }
  }

  /** It has ended, and takes no connections any more. */
  gone(worker: AskedWorker): void {
    this.#round?.asked.delete(worker)
    this.#endIfAllSaid()
  }

  close(): void {
    clearTimeout(this.#pause)
    this.#round?.endLimit()
  }

  #beginSoon(): void {
    if (this.#probes.length === 0 || this.#round !== undefined || this.#pause !== undefined) return
    const waitMs = this.#beganMs + healthRoundIntervalMs - this.#options.now()
    if (waitMs <= 0) this.#begin()
    else this.#pause = setTimeout(() => this.#begin(), waitMs)
  }

  #begin(): void {
    this.#pause = undefined
    this.#beganMs = this.#options.now()
    const id = (this.#rounds += 1)
    const asked = new Map(this.#options.workers().map((worker) => [worker, undefined]))
    const endLimit = startTimeLimit(healthGatherMsMax, () => this.#end())
    this.#round = { id, probes: this.#probes.splice(0), asked, endLimit }
    // To one that hangs these pile up only until the supervisor has noticed and killed it.
    for (const worker of asked.keys()) worker.send({ type: 'health', id })
    this.#endIfAllSaid()
  }

  #endIfAllSaid(): void {
    if (this.#round === undefined) return
    for (const health of this.#round.asked.values()) if (health === undefined) return
    this.#end()
  }

  #end(): void {
    const round = this.#round
    if (round === undefined) return
    round.endLimit()
    this.#round = undefined
    const accepting = [...round.asked].flatMap(([{ isAccepting }, health]) => {
      return isAccepting && health !== null ? [health ?? null] : []
    })
    const recordDays = this.#options.recordDays?.()
    const answer = { accepting, wanted: this.#options.wanted(), ...(recordDays && { recordDays }) }
    for (const { worker, id } of round.probes) worker.send({ type: 'probed', id, round: answer })
    this.#beginSoon()
  }
}
