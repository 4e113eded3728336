import type { FromChild, HealthRound, WorkerHealth } from '../../core/ipc.ts'
import { healthProbeMsMax } from '../../core/limits.ts'
import { startTimeLimit } from '../../core/time-limit.ts'
import type { Exchange } from './http/exchange.ts'
import { jitteredWaitSeconds, notReadyHead, okHead, retryAfterHeader } from './http/replies.ts'
import { judgeServer } from './server-health.ts'

export interface ReadinessOptions {
  readonly health: () => WorkerHealth
  /** Answers whether there is a primary to hear it. */
  readonly send: (message: FromChild) => boolean
}

/**
 * `GET /readyz` and `GET /health` in an HTTP worker: 200 for a server that sells, 503 for one that doesn't. It speaks for
 * all workers: the primary asks them (health-rounds.ts). Probes that come while a question is out wait for the next one.
 */
export class Readiness {
  readonly #options: ReadinessOptions
  /** Probes that nobody asked for yet. Each is the one request of its connection, which bounds them. */
  #waiting: Exchange[] = []
  #asked: { readonly id: number; readonly probes: readonly Exchange[]; readonly endLimit: () => void } | undefined
  #questions = 0
  #isClosed = false

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  readonly handle = (exchange: Exchange): void => {
    this.#waiting.push(exchange)
    if (this.#asked === undefined) this.#ask()
  }

  probed(id: number, round: HealthRound): void {
    if (id !== this.#asked?.id) return
    const { probes } = this.#asked
    this.#settle()
    this.#answer(probes, round)
    if (this.#waiting.length > 0) this.#ask()
  }

  /** There is no primary any more: from now on it speaks for itself. */
  close(): void {
    this.#isClosed = true
    this.#giveUp()
  }

  #ask(): void {
    const id = (this.#questions += 1)
    if (this.#isClosed || !this.#options.send({ type: 'probe', id })) {
      this.#giveUp()
      return
    }
    this.#asked = { id, probes: this.#waiting, endLimit: startTimeLimit(healthProbeMsMax, () => this.#giveUp()) }
    this.#waiting = []
  }

  /** The primary hangs. Those that wait for the next question are answered too: the first would be no better. */
  #giveUp(): void {
    const probes = [...(this.#asked?.probes ?? []), ...this.#waiting]
    this.#waiting = []
    this.#settle()
    this.#answer(probes, undefined)
  }

  #settle(): void {
    this.#asked?.endLimit()
    this.#asked = undefined
  }

  #answer(probes: readonly Exchange[], round: HealthRound | undefined): void {
    if (probes.length === 0) return
    const report = judgeServer(this.#options.health(), round)
    const body = JSON.stringify(report)
    for (const exchange of probes) {
      if (report.status !== 'not_ready') exchange.answer(okHead, body)
      else exchange.answer(notReadyHead, body, retryAfterHeader(jitteredWaitSeconds() * 1_000))
    }
  }
}
