import { Fault } from '../faults.ts'
import {
  asyncPostgresConnectionsMax,
  asyncPostgresDeadlineMs,
  asyncPostgresRetryDelayMsMax,
  asyncPostgresRetryDelayMsMin,
  asyncPostgresWaitingMax,
} from '../limits.ts'
import { startTimeLimit } from '../time-limit.ts'
import { type AsyncConnection, connectAsync, type Statement } from './async-connection.ts'
import type { PostgresSettings } from './conninfo.ts'
import type { Parameter } from './parameter.ts'
import { PostgresFault, queryCanceled } from './postgres-fault.ts'

export interface AsyncPostgresOptions {
  /** Shown by pg_stat_activity. */
  readonly applicationName: string
  readonly connectionsMax?: number
  readonly waitingMax?: number
  /** For one statement or transaction, its wait for a connection included. */
  readonly deadlineMs?: number
}

/** One who waits for a connection. */
interface Waiting {
  readonly resolve: (connection: AsyncConnection) => void
  readonly reject: (fault: Fault) => void
  readonly endLimit: () => void
}

/**
 * Statements that never block the thread: a few connections, opened when they are needed, and a bounded queue before
 * them. Only in the main thread of a process: the addon watches its sockets with that thread's loop.
 *
 * While Postgres can't be reached everything is refused at once, until it is time for the next attempt. One that hangs
 * costs a caller the deadline, and the connection.
 */
export class AsyncPostgres {
  readonly #settings: PostgresSettings
  readonly #options: Required<AsyncPostgresOptions>
  readonly #idle: AsyncConnection[] = []
  readonly #open = new Set<AsyncConnection>()
  readonly #waiting: Waiting[] = []
  #connecting: Promise<void> | undefined
  #isClosed = false
  /** Why the last attempt to connect failed, and until when there is no other. */
  #away: { readonly fault: Fault; readonly until: number } | undefined
  #retryDelayMs = asyncPostgresRetryDelayMsMin

  constructor(settings: PostgresSettings, options: AsyncPostgresOptions) {
    this.#settings = settings
    this.#options = {
      connectionsMax: asyncPostgresConnectionsMax,
      waitingMax: asyncPostgresWaitingMax,
      deadlineMs: asyncPostgresDeadlineMs,
      ...options,
    }
  }

  /**
   * Rows as Postgres.query has them. `text` is one statement.
   * @throws Fault HC_POSTGRES_UNAVAILABLE (also past the deadline: whether it ran is not known) | HC_POSTGRES_REFUSED |
   *   HC_POSTGRES_BUSY when too many wait
   */
  query<Row extends object>(statement: Statement, parameters: readonly Parameter[] = []): Promise<Row[]> {
    return this.#use((connection) => connection.query<Row>(statement, parameters))
  }

  /**
   * Runs `work` between BEGIN and COMMIT on a connection of its own; rolls back and rethrows when it throws. When COMMIT
   * itself throws HC_POSTGRES_UNAVAILABLE, the outcome is unknown.
   */
  transaction<Result>(work: (connection: AsyncConnection) => Promise<Result>): Promise<Result> {
    return this.#use((connection) => connection.transaction(work))
  }

  /** Refuses what waits, and ends what runs. Returns when no connection is left, not even one that was being made. */
  async close(): Promise<void> {
    this.#isClosed = true
    const fault = new PostgresFault('closed')
    this.#refuseWaiting(fault)
    for (const connection of this.#open) connection.giveUp(fault)
    await this.#connecting
  }

  async #use<Result>(work: (connection: AsyncConnection) => Promise<Result>): Promise<Result> {
    const deadline = performance.now() + this.#options.deadlineMs
    const connection = await this.#acquire()
    const endLimit = startTimeLimit(deadline - performance.now(), () => connection.giveUp(this.#late()))
    try {
      return await work(connection)
    } catch (error) {
      // The server's own time-out is as long: after a standstill of this process its word is read before ours.
      const isCanceled = error instanceof PostgresFault && error.sqlState === queryCanceled
      throw isCanceled && performance.now() >= deadline ? this.#late() : error
    } finally {
      endLimit()
      this.#release(connection)
    }
  }

  #acquire(): Promise<AsyncConnection> {
    if (this.#isClosed) return Promise.reject(new PostgresFault('closed'))
    const idle = this.#idle.pop()
    if (idle !== undefined) return Promise.resolve(idle)
    if (this.#open.size === 0 && this.#away !== undefined && performance.now() < this.#away.until) {
      return Promise.reject(this.#away.fault)
    }
    if (this.#waiting.length >= this.#options.waitingMax) {
      return Promise.reject(new Fault('HC_POSTGRES_BUSY', `${this.#waiting.length} statements wait already`))
    }
    return new Promise((resolve, reject) => {
      const endLimit = startTimeLimit(this.#options.deadlineMs, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        reject(this.#late())
      })
      const waiting: Waiting = { resolve, reject, endLimit }
      this.#waiting.push(waiting)
      this.#connectIfNeeded()
    })
  }

  #release(connection: AsyncConnection): void {
    if (!connection.isIdle) {
      connection.giveUp(new PostgresFault('left in the middle of something'))
      return
    }
    const next = this.#waiting.shift()
    if (next === undefined) {
      this.#idle.push(connection)
      return
    }
    next.endLimit()
    next.resolve(connection)
  }

  #forget(connection: AsyncConnection): void {
    this.#open.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#connectIfNeeded()
  }

  /** One attempt at a time: each holds a thread of libuv's pool, which file access and DNS need as well. */
  #connectIfNeeded(): void {
    if (this.#waiting.length === 0 || this.#connecting !== undefined || this.#isClosed) return
    if (this.#open.size >= this.#options.connectionsMax) return
    if (this.#away !== undefined && performance.now() < this.#away.until) return
    this.#connecting = this.#connect().finally(() => {
      this.#connecting = undefined
      this.#connectIfNeeded()
    })
  }

  async #connect(): Promise<void> {
    const { applicationName, deadlineMs } = this.#options
    try {
      const connection = await connectAsync(this.#settings, {
        applicationName,
        statementTimeoutMs: deadlineMs,
        onEnd: (ended) => this.#forget(ended),
      })
      this.#away = undefined
      this.#retryDelayMs = asyncPostgresRetryDelayMsMin
      this.#open.add(connection)
      if (this.#isClosed) connection.giveUp(new PostgresFault('closed'))
      else this.#release(connection)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#away = { fault: error, until: performance.now() + this.#retryDelayMs }
      this.#retryDelayMs = Math.min(this.#retryDelayMs * 2, asyncPostgresRetryDelayMsMax)
      if (this.#open.size === 0) this.#refuseWaiting(error)
    }
  }

  #refuseWaiting(fault: Fault): void {
    for (const { reject, endLimit } of this.#waiting.splice(0)) {
      endLimit()
      reject(fault)
    }
  }

  #late(): PostgresFault {
    return new PostgresFault(`no answer within ${this.#options.deadlineMs} ms`)
  }
}
