import { Fault, type FaultCode } from '../../../core/faults.ts'
import { ackWaitMsMax, answersUncommittedMax } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import {
  compareLogPositions,
  formatLogPosition,
  type LogPosition,
  parseLogPosition,
} from '../../../core/log-position.ts'
import { CommittedListener } from '../../../core/redis/committed-channel.ts'
import type { RedisSettings } from '../../../core/redis/connection.ts'
import type { ShardKeys } from '../../../core/redis/keys.ts'
import type { LogState } from '../../../core/redis/sale-store.ts'
import type { ShardState } from '../../../core/shard-state.ts'
import { UncommittedAnswers } from './uncommitted-answers.ts'

export interface PostgresAcksOptions {
  /** Of the shard. */
  readonly keys: ShardKeys
  readonly log: Log
  readonly metrics: { fault(code: FaultCode): void }
}

/** APP_ACK=postgres: holds the answers to purchases back, and learns in two ways when they may leave. */
export class PostgresAcks {
  readonly answers: UncommittedAnswers
  readonly #listener: CommittedListener
  readonly #log: Log
  #isLate = false

  constructor(settings: RedisSettings, { keys, log, metrics }: PostgresAcksOptions) {
    this.#log = log
    this.answers = new UncommittedAnswers({
      waitMsMax: ackWaitMsMax,
      countMax: answersUncommittedMax,
      onLate: () => {
        metrics.fault('HC_COMMIT_LATE')
        if (!this.#isLate) log.error({ code: 'HC_COMMIT_LATE' }, 'Postgres does not confirm purchases in time')
        this.#isLate = true
      },
    })
    this.#listener = new CommittedListener(settings, {
      keys,
      name: `hotcakes-http-${process.pid}-commits`,
      onPosition: (position) => this.#commit(position),
      onFault: ({ code, message }) => {
        metrics.fault(code)
        log.warn({ code, reason: message }, 'no word of commits: they are looked for once a second')
      },
    })
  }

  /** For the first time. @throws Fault */
  async connect(): Promise<void> {
    if (!this.#listener.isUp) await this.#listener.connect()
  }

  /** The connection may lead to a Redis that was replaced. */
  reconnect(): void {
    this.#listener.reconnect()
  }

  /** What the primary says of the shard: it knows how the epochs follow on each other. */
  primarySays({ epoch }: ShardState): void {
    if (epoch !== undefined) this.answers.epochBegan(epoch.number, epoch.after)
  }

  /** After each look at the log: what it says of Postgres makes up for messages that were lost. Never rejects. */
  async looked(state: LogState | undefined): Promise<void> {
    if (state?.persister !== undefined) this.#commit(state.persister.position)
    await this.#listener.check()
  }

  /**
   * What was in Postgres before a decision was asked for can't hold that decision. Otherwise Redis has gone back in time,
   * and commits of the time that it has forgotten would pass for commits of what it decides now.
   * @throws Fault HC_LOG_LOST
   */
  assertNew(logId: string, committedBefore: LogPosition): void {
    if (compareLogPositions(parseLogPosition(logId), committedBefore) > 0) return
    const committed = formatLogPosition(committedBefore)
    throw new Fault('HC_LOG_LOST', `Redis has just written ${logId}, but Postgres is at ${committed}`)
  }

  /** Answers all that wait with what is known, which is not much: nobody listens any more. */
  close(): void {
    this.answers.close()
    this.#listener.close()
  }

  #commit(position: LogPosition): void {
    if (this.#isLate && compareLogPositions(position, this.answers.committed) > 0) {
      this.#isLate = false
      this.#log.info('Postgres confirms purchases again')
    }
    this.answers.commit(position)
  }
}
