import { hostname } from 'node:os'
import { Fault } from '../core/faults.ts'
import {
  copyHangMs,
  drainBytesMax,
  drainEntriesMax,
  drainIntervalMs,
  drainStandbyMs,
  logReadBlockMs,
  logStateIntervalMs,
} from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../core/log-position.ts'
import { missingEntries } from '../core/recovery/verdict.ts'
import { publishCommitted } from '../core/redis/committed-channel.ts'
import type { LogReader } from '../core/redis/log-reader.ts'
import { type PersisterState, publishPersisterState } from '../core/redis/persister-state.ts'
import type { LogState, SaleStore } from '../core/redis/sale-store.ts'
import type { CopyPool } from './copy-pool.ts'
import type { StepHook } from './drain-steps.ts'
import { entryCount, gatherChunk } from './log-chunk.ts'
import type { PersisterMetrics } from './persister-metrics.ts'
import { Troubles } from './troubles.ts'

const stateSentences = {
  active: 'this persister drains the log',
  standby: 'another persister drains the log, this one stands by',
  away: 'this persister gets nothing into Postgres at the moment',
} as const

export interface PersisterParts {
  /** Connected once, by `connect`; from then on they reconnect by themselves. */
  readonly store: SaleStore
  /** Reads on a connection of its own, because its reads block. */
  readonly log: LogReader
  /** Trims on the store's connection. */
  readonly trimmer: LogReader
  readonly connect: () => Promise<void>
  readonly copies: CopyPool
  readonly metrics: PersisterMetrics
  readonly say: Log
  readonly reached: StepHook
}

/**
 * Drains the log into Postgres: reads a chunk, has it copied, trims it, over and over. What it believes of the offset
 * is only ever a guess that the transaction checks; after any trouble it asks Postgres again. So nothing has to be
 * remembered across a failure, and a second persister, or a crash anywhere, can cost time but never a row.
 */
export class Persister {
  readonly #parts: PersisterParts
  readonly #troubles: Troubles
  #goal: 'run' | 'drain' | 'stop' = 'run'
  /** starting: nothing was tried yet, so there is nothing to say. */
  #state: PersisterState['state'] | 'starting' = 'starting'
  #shownState: PersisterState['state'] | undefined
  #isConnected = false
  /** Where Postgres is, as far as we know; undefined: it has to be asked. */
  #position: LogPosition | undefined
  /** Entries were missing after this position, and it was not looked yet whether another persister took them. */
  #gapAfter: LogPosition | undefined
  /** The last position that was ever known, for what we say of ourselves. */
  #lastPosition: LogPosition = { epoch: 0, seq: 0 }
  /** When all was last seen to be well (performance.now()). */
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #isTicking = false
  #endPause: () => void = () => undefined

  constructor(parts: PersisterParts) {
    this.#parts = parts
    this.#troubles = new Troubles(parts.say)
  }

  /**
   * Returns when the log was drained after `drain()`, or the running transaction ended after `stop()`.
   * @throws Fault HC_LOG_GAP | HC_LOG_LOST | HC_LOG_MALFORMED while draining: waiting won't help, work is left
   */
  async run(): Promise<'drained' | 'stopped'> {
    const ticks = setInterval(() => void this.#tick(), logStateIntervalMs)
    try {
      while (this.#goal !== 'stop') {
        try {
          if ((await this.#step()) === 'at end' && this.#goal === 'drain') {
            await this.#publish()
            return 'drained'
          }
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          await this.#recover(error)
        }
      }
      return 'stopped'
    } finally {
      clearInterval(ticks)
    }
  }

  /** To the very end: finished when nothing follows what was committed, also nothing that others append meanwhile. */
  drain(): void {
    if (this.#goal === 'run') this.#goal = 'drain'
    this.#endPause()
  }

  stop(): void {
    this.#goal = 'stop'
    this.#endPause()
  }

  async #step(): Promise<'at end' | 'moved'> {
    const { copies, log, metrics, reached } = this.#parts
    if (!this.#isConnected) await this.#connect()
    if (this.#state === 'standby' && !(await this.#mayTakeOver())) return 'moved'
    const isDraining = this.#goal === 'drain'
    const after = (this.#position ??= await this.#locate())
    const blockMs = isDraining || this.#state !== 'active' ? 0 : logReadBlockMs
    const entries = await log.read(after, { entriesMax: drainEntriesMax, blockMs })
    if (entries.length === 0) {
      await this.#checkIdle(after)
      this.#succeeded()
      return isDraining ? 'at end' : 'moved'
    }
    const chunk = gatherChunk(entries, after, drainBytesMax)
    const count = entryCount(chunk)
    const startedAtMs = performance.now()
    const copied = await copies.copy(chunk)
    this.#located(chunk.through)
    this.#checkedAtMs = performance.now()
    metrics.copied(copied, count)
    this.#succeeded()
    reached('before_trim')
    const isAwaited = await this.#announce(chunk.through)
    reached('after_trim')

    // A full read means that more is waiting: then there is nothing to gather. Nor is there when somebody waits for the
    // commits: what came in during the last one makes up the next.
    const isBehind = count < entries.length || entries.length === drainEntriesMax
    if (!isBehind && !isDraining && !isAwaited) await this.#pause(drainIntervalMs - (performance.now() - startedAtMs))
    return 'moved'
  }

  async #connect(): Promise<void> {
    await this.#parts.connect()
    this.#isConnected = true
  }

  /** Asks Postgres for the offset, and whether the log goes that far. @throws Fault HC_LOG_LOST | HC_OFFSET_MOVED */
  async #locate(): Promise<LogPosition> {
    const position = await this.#parts.copies.offset()
    const gapAfter = this.#gapAfter
    this.#gapAfter = undefined
    this.#located(position)
    if (gapAfter && compareLogPositions(gapAfter, position) !== 0) {
      throw new Fault('HC_OFFSET_MOVED', 'what this persister was to copy was committed and trimmed by another')
    }
    // In this order: the log may be further than what we know of Postgres, but never the other way round.
    checkNothingLost(await this.#parts.store.logState(), position)
    // Whoever committed this may have died before it said so and trimmed.
    await this.#announce(position)
    return position
  }

  /** Says how far Postgres is, and trims what it has. Answers whether anybody listens. @throws Fault */
  async #announce(position: LogPosition): Promise<boolean> {
    const { store, trimmer } = this.#parts
    const saying = publishCommitted(store.redis, store.keys, position)
    const [listeners] = await Promise.all([saying, trimmer.trim(position)])
    return listeners > 0
  }

  #located(position: LogPosition): void {
    this.#position = position
    this.#lastPosition = position
  }

  /**
   * Nothing follows the position; is that the truth? Postgres may be gone, another persister may drain, and a log that
   * was emptied or went back in time would never show it by itself. @throws Fault
   */
  async #checkIdle(position: LogPosition): Promise<void> {
    const { copies, store } = this.#parts
    if (this.#goal === 'run' && performance.now() - this.#checkedAtMs < logStateIntervalMs) return
    const offset = await copies.offset()
    if (compareLogPositions(offset, position) !== 0) throw new Fault('HC_OFFSET_MOVED', 'while this persister was idle')
    const state = await store.logState()
    checkNothingLost(state, position)
    checkNothingMissing(state, position)
    this.#checkedAtMs = performance.now()
  }

  /**
   * In standby, after a while: whether the active one is gone. It is when it has been silent for long, or when the
   * offset stood still although there was work. Taking over from one that is merely slow is safe, and costs a wait.
   */
  async #mayTakeOver(): Promise<boolean> {
    if (this.#goal === 'run') await this.#pause(drainStandbyMs)
    if (this.#goal !== 'run') return true
    const before = this.#lastPosition
    const offset = await this.#parts.copies.offset()
    const state = await this.#parts.store.logState()
    this.#lastPosition = offset
    const stoodStill = compareLogPositions(before, offset) === 0
    const hasWork = compareLogPositions(state.last, offset) > 0 && state.backlogEntries > 0
    return stoodStill && (hasWork || state.persister === undefined)
  }

  async #recover(fault: Fault): Promise<void> {
    const position = this.#position
    this.#position = undefined
    this.#checkedAtMs = Number.NEGATIVE_INFINITY
    if (fault.code === 'HC_OFFSET_MOVED') {
      this.#parts.metrics.fault(fault.code)
      if (this.#goal === 'run') this.#become('standby')
      else await this.#pause(drainIntervalMs)
      return
    }
    // Another persister may have committed and trimmed between our two looks. Then the next look at the offset differs.
    if (fault.code === 'HC_LOG_GAP' && this.#troubles.isNewGap(position)) {
      this.#gapAfter = position
      return
    }
    const delayMs = this.#troubles.met(fault)
    this.#parts.metrics.fault(fault.code)
    if (!fault.code.startsWith('HC_REDIS_')) this.#become('away')
    if (this.#goal === 'drain' && fault.code.startsWith('HC_LOG_')) throw fault
    await this.#pause(delayMs)
  }

  /** Only now: that Postgres answers does not mean yet that it takes what comes next. */
  #succeeded(): void {
    this.#troubles.over()
    this.#become('active')
  }

  #become(state: PersisterState['state']): void {
    if (state === this.#state) return
    this.#state = state
    void this.#tick()
  }

  /** Once a second and at changes: learns the state of the log and says our own. Never throws a Fault. */
  async #tick(): Promise<void> {
    this.#show()
    if (!this.#isConnected || this.#isTicking) return
    this.#isTicking = true
    try {
      const log = await this.#parts.store.logState()
      this.#parts.metrics.log(log.backlogEntries, log.lagSeconds)
      if (this.#mayPublish(log.persister)) await this.#publish()
    } catch (error) {
      // Without Redis there is nobody to tell; the loop meets the same trouble, and announces it.
      if (!(error instanceof Fault)) throw error
    } finally {
      this.#isTicking = false
    }
  }

  /** Of several persisters the active one's word counts; that Postgres is away for us says nothing while it isn't. */
  #mayPublish(published: PersisterState | undefined): boolean {
    if (this.#state === 'active') return true
    const isOurs = published?.host === hostname() && published.pid === process.pid
    const isOthersActive = published?.state === 'active' && !isOurs
    return this.#state === 'away' && !isOthersActive
  }

  async #publish(): Promise<void> {
    const { store } = this.#parts
    const position = this.#lastPosition
    const state = this.#visibleState
    await publishPersisterState(store.redis, store.keys, { state, position, host: hostname(), pid: process.pid })
  }

  #show(): void {
    const state = this.#visibleState
    if (this.#state === 'starting' || state === this.#shownState) return
    this.#shownState = state
    this.#parts.metrics.state(state)
    this.#parts.say.info({ position: formatLogPosition(this.#lastPosition) }, stateSentences[state])
  }

  /** A transaction that takes too long may never end: libpq's calls can't be given a deadline. */
  get #visibleState(): PersisterState['state'] {
    if (this.#state === 'starting' || this.#parts.copies.busyMs > copyHangMs) return 'away'
    return this.#state
  }

  /** Waits, unless and until the goal changes. */
  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function checkNothingLost({ last }: LogState, position: LogPosition): void {
  if (compareLogPositions(last, position) >= 0) return
  const [end, committed] = [formatLogPosition(last), formatLogPosition(position)]
  throw new Fault('HC_LOG_LOST', `the log ends at ${end}, but Postgres is at ${committed}`)
}

function checkNothingMissing(state: LogState, position: LogPosition): void {
  const missing = missingEntries(state, position)
  if (missing <= 0) return
  const [end, committed] = [formatLogPosition(state.last), formatLogPosition(position)]
  throw new Fault('HC_LOG_GAP', `the log ends at ${end}, and ${missing} entries after ${committed} are missing`)
}
