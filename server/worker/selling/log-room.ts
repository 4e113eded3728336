import { backlogResumeShare, memoryResumeShare, memoryShareMax } from '../../../core/limits.ts'
import { compareLogPositions, type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'

export type LogLack = 'backlog_full' | 'memory_full'

export interface LogRoomOptions {
  readonly backlogMax: number
  readonly onChange: (lack: LogLack | undefined) => void
}

/**
 * Whether the log may grow. It lives in Redis' memory until it is in Postgres, so while that stays away it must be stopped
 * before Redis is. Each of the two reasons ends only well below where it began: else it would come and go with every batch.
 */
export class LogRoom {
  readonly #options: LogRoomOptions
  #lack: LogLack | undefined
  /** The newest entry there can be before the backlog has reached its bound. */
  #fullAt: LogPosition | undefined

  constructor(options: LogRoomOptions) {
    this.#options = options
  }

  /** Why nothing may be added; `undefined` when it may. */
  get lack(): LogLack | undefined {
    return this.#lack
  }

  /** What a look at Redis has shown. @param memoryShare of the memory that Redis may use */
  observe({ last, backlogEntries }: Pick<LogState, 'last' | 'backlogEntries'>, memoryShare: number): void {
    const { backlogMax, onChange } = this.#options
    this.#fullAt = { epoch: last.epoch, seq: last.seq - backlogEntries + backlogMax }
    const backlogMark = this.#lack === 'backlog_full' ? backlogMax * backlogResumeShare : backlogMax
    const memoryMark = this.#lack === 'memory_full' ? memoryResumeShare : memoryShareMax
    const lack = backlogEntries > backlogMark ? 'backlog_full' : memoryShare > memoryMark ? 'memory_full' : undefined
    if (lack === this.#lack) return
    this.#lack = lack
    onChange(lack)
  }

  /**
   * Whether the log may have become full with this entry, so that a look is due. Entries are numbered over all workers:
   * each sees with its own how far all have come, and only what Postgres has taken off since the last look is not known.
   */
  mayBeFull(logId: string): boolean {
    return this.#fullAt !== undefined && compareLogPositions(parseLogPosition(logId), this.#fullAt) > 0
  }
}
