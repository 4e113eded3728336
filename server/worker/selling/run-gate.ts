import { Fault } from '../../../core/faults.ts'
import {
  compareLogPositions,
  formatLogPosition,
  type LogPosition,
  parseLogPosition,
} from '../../../core/log-position.ts'
import type { LogState, SaleStore } from '../../../core/redis/sale-store.ts'
import type { ShardState } from '../../../core/shard-state.ts'

/**
 * Whether this worker has Redis decide. A run of Redis that nobody compared with Postgres refuses by itself; this spares
 * it the calls, and adds what only this worker knows: which decisions it has answered. A Redis without them has lost some.
 */
export class RunGate {
  readonly #store: Pick<SaleStore, 'isUp' | 'run'>
  readonly #holdsBack: boolean
  /** The newest entry that Redis has decided for this worker. */
  #decided: LogPosition | undefined
  #seen: LogPosition | undefined
  #isSound = true
  #primaryState: ShardState | undefined
  /** The run that was found admitted, when one was looked at. */
  #run: string | undefined

  /** @param options.holdsBack a batch that is decided is answered later: then only what `answered` names is promised */
  constructor(store: Pick<SaleStore, 'isUp' | 'run'>, { holdsBack = false } = {}) {
    this.#store = store
    this.#holdsBack = holdsBack
  }

  /** A new connection may lead to another run than the one that was looked at. */
  get isSound(): boolean {
    // Even if another server has admitted it.
    if (this.#primaryState?.status === 'refused') return false
    if (!this.#isSound || this.#run === undefined || !this.#store.isUp) return this.#isSound
    return this.#store.run === this.#run
  }

  /** The newest log entry whose decisions this worker has answered. */
  get seen(): LogPosition | undefined {
    return this.#seen
  }

  /** Redis has decided a batch. @throws Fault HC_LOG_LOST when it had decided more before: this one must not be answered */
  decided(logId: string): void {
    const position = parseLogPosition(logId)
    const before = this.#decided
    if (before !== undefined && compareLogPositions(position, before) <= 0) {
      this.#isSound = false
      throw new Fault('HC_LOG_LOST', `Redis decided the log entry ${logId} after ${formatLogPosition(before)}`)
    }
    this.#decided = position
    if (!this.#holdsBack) this.#seen = position
  }

  /** A batch that was held back is answered now. Each is newer than the one before. */
  answered(logId: string): void {
    this.#seen = parseLogPosition(logId)
  }

  /** Redis refused a batch because its state is not known to be whole. */
  refused(): void {
    this.#isSound = false
  }

  /** What the primary says of the shard. */
  primarySays(state: ShardState): void {
    this.#primaryState = state
  }

  /** The Redis that the connection leads to is not, or no longer, the one that may decide: another connection may lead there. */
  get isMisled(): boolean {
    if (!this.#store.isUp || this.#isSound) return false
    return this.#primaryState?.status === 'sound' || this.#primaryState?.fault === 'HC_RUN_REPLACED'
  }

  /** @param seen from before Redis was asked: it may have decided more since */
  looked({ last, epoch, admittedRun }: LogState, seen: LogPosition | undefined): void {
    // Its data may name a process that was promoted again, and not yet know of the epoch that replaced them.
    const isAdmitted = epoch !== undefined && this.#store.isUp && admittedRun === this.#store.run && !this.#isOld(epoch)
    // The store's own string: to compare it with itself costs a request nothing.
    this.#run = isAdmitted ? this.#store.run : undefined
    this.#isSound = isAdmitted && (seen === undefined || compareLogPositions(last, seen) >= 0)
  }

  #isOld(epoch: number): boolean {
    return epoch < (this.#primaryState?.epoch?.number ?? 0)
  }
}
