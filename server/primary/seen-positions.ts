import type { ToChild } from '../../core/ipc.ts'
import { seenGatherMsMax } from '../../core/limits.ts'
import { compareLogPositions, type LogPosition } from '../../core/log-position.ts'
import { startTimeLimit } from '../../core/time-limit.ts'

/** A child as far as it is asked what it has seen. */
export interface AskedChild {
  send(message: ToChild): void
}

/**
 * The newest log entry of a shard that any HTTP worker of this server has answered decisions of. Every heartbeat tells; before
 * Redis' state is compared with it all are asked.
 */
export class SeenPositions {
  readonly #shard: number
  #newest: LogPosition | undefined
  readonly #asked = new Set<AskedChild>()
  #whenAllAnswered: () => void = () => undefined

  constructor(shard: number) {
    this.#shard = shard
  }

  get newest(): LogPosition | undefined {
    return this.#newest
  }

  heard(position: LogPosition | undefined): void {
    if (position === undefined) return
    if (this.#newest === undefined || compareLogPositions(position, this.#newest) > 0) this.#newest = position
  }

  /** It has answered what it was asked, or is gone and has said all it could. */
  hasAnswered(child: AskedChild): void {
    if (this.#asked.delete(child) && this.#asked.size === 0) this.#whenAllAnswered()
  }

  /** Bounded: of a child that hangs, what it said last counts. */
  async gather(children: readonly AskedChild[]): Promise<LogPosition | undefined> {
    this.#asked.clear()
    for (const child of children) this.#asked.add(child)
    if (children.length > 0) {
      let endLimit: (() => void) | undefined
      const allOrLate = new Promise<void>((resolve) => {
        this.#whenAllAnswered = resolve
        endLimit = startTimeLimit(seenGatherMsMax, resolve)
      })
      for (const child of children) child.send({ type: 'seen', shard: this.#shard })
      await allOrLate
      endLimit?.()
    }
    return this.#newest
  }
}
