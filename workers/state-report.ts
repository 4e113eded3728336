import { hostname } from 'node:os'
import { Fault } from '../core/faults.ts'
import { copyHangMs } from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { formatLogPosition } from '../core/log-position.ts'
import type { ShardKeys } from '../core/redis/keys.ts'
import { type PersisterState, type PersisterStateName, publishPersisterState } from '../core/redis/persister-state.ts'
import type { SaleStore } from '../core/redis/sale-store.ts'
import type { CopyPool } from './copy-pool.ts'
import { type DrainState, troubleOf } from './drain-state.ts'
import { isOurs } from './others-drain.ts'
import type { ShardMetrics } from './persister-metrics.ts'

const stateSentences = {
  active: 'this persister drains the log',
  standby: 'another persister drains the log, this one stands by',
  away: 'this persister gets nothing into Postgres at the moment',
  refused: 'this persister gets nothing into Postgres, which refuses its rows',
  locked: "this persister gets nothing into Postgres, because of another session's lock",
  log_fault: 'this persister gets no further in the log',
} as const satisfies Record<PersisterStateName, string>
const replacedSentence = 'this persister reaches another run of Redis than the admitted one: it waits, and looks again'

export interface StateReportParts {
  readonly store: SaleStore
  readonly keys: ShardKeys
  readonly copies: CopyPool
  readonly metrics: ShardMetrics
  readonly log: Log
}

/** Tells others where the persister is: the log and the metrics at a change, Redis at a change and once a second. */
export class StateReport {
  readonly #parts: StateReportParts
  /** As it is at the moment: it may change while Redis is asked. */
  readonly #state: () => DrainState
  /** What the log was told last. */
  #shown = ''
  /** One at a time: a Redis that is slow to answer must not be asked more and more. */
  #isTicking = false

  constructor(parts: StateReportParts, state: () => DrainState) {
    this.#parts = parts
    this.#state = state
  }

  /** Once a second and at changes: reads the state of the log and publishes ours. Never throws a Fault. */
  async tick(): Promise<void> {
    this.#show()
    if (this.#state().place.name === 'connecting' || this.#isTicking) return
    this.#isTicking = true
    try {
      const { backlogEntries, lagSeconds, persister } = await this.#parts.store.logState()
      this.#parts.metrics.backlog(backlogEntries, lagSeconds)
      if (this.#mayPublish(persister)) await this.#publish()
    } catch (error) {
      // Without Redis there is nobody to tell; the drain meets the same trouble, and announces it.
      if (!(error instanceof Fault)) throw error
    } finally {
      this.#isTicking = false
    }
  }

  /** That the log is drained. It is news and no more: a Redis that is full or gone keeps no persister from its end. */
  async tellEnd(): Promise<void> {
    try {
      await this.#publish()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#parts.log.debug({ code: error.code }, `Redis is not told that its log is drained: ${error.message}`)
    }
  }

  /** @throws Fault */
  async #publish(): Promise<void> {
    const { store, keys } = this.#parts
    const { place, lastPosition } = this.#state()
    await publishPersisterState(store.redis, keys, {
      state: this.#visible,
      trouble: troubleOf(place),
      position: lastPosition,
      host: hostname(),
      pid: process.pid,
    })
  }

  /** Of several persisters the active one's word counts: our trouble is no news while another one drains. */
  #mayPublish(published: PersisterState | undefined): boolean {
    const { place } = this.#state()
    if (place.name === 'active') return true
    const isOthersActive = published?.state === 'active' && !isOurs(published)
    return troubleOf(place) !== undefined && !isOthersActive
  }

  #show(): void {
    const { place, lastPosition } = this.#state()
    const visible = this.#visible
    const sentence = 'looks' in place ? replacedSentence : stateSentences[visible]
    if (place.name === 'connecting' || place.name === 'starting' || sentence === this.#shown) return
    this.#shown = sentence
    this.#parts.metrics.state(visible)
    this.#parts.log.info({ position: formatLogPosition(lastPosition) }, sentence)
  }

  /**
   * libpq's calls can't be given a deadline: a transaction that takes too long may never end. If it is another shard's,
   * the one of this shard waits for it.
   */
  get #visible(): PersisterStateName {
    const { name } = this.#state().place
    if (name === 'connecting' || name === 'starting') return 'away'
    return name === 'active' && this.#parts.copies.busyMs > copyHangMs ? 'away' : name
  }
}
